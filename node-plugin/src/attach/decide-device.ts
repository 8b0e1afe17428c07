/**
 * Which block device is the volume. It must match in everything that is known of it: subsystem, namespace UUID
 * and size. A device that matches in part is refused, never tried: whatever else it is, it is not the volume.
 */
import type { NvmeDevice } from '../system/node-system.ts';

/** By what a volume's device is known. */
export interface DeviceIdentity {
  readonly subsystemNqn: string;
  readonly namespaceUuid: string;
  /** What it must hold at least; a volume never shrinks. */
  readonly minimumBytes: number;
}

/** The device, that it is not there yet, or why what is there is not it. */
export type DeviceDecision =
  | { readonly kind: 'found'; readonly device: NvmeDevice }
  | { readonly kind: 'absent' }
  /** The size is that of before a growth; the kernel may not have looked again. */
  | { readonly kind: 'too-small'; readonly device: NvmeDevice }
  | { readonly kind: 'mismatch'; readonly why: string };

/** Looks for a volume among the namespaces of this machine. */
export function decideDevice(
  devices: readonly NvmeDevice[],
  wanted: DeviceIdentity,
): DeviceDecision {
  const ofSubsystem = devices.filter((each) => each.subsystemNqn === wanted.subsystemNqn);
  const ofUuid = devices.filter((each) => each.namespaceUuid === wanted.namespaceUuid);
  const stranger = ofSubsystem.find((each) => each.namespaceUuid !== wanted.namespaceUuid);
  if (stranger !== undefined) {
    return mismatch(
      `${stranger.path} of its subsystem has the UUID ${stranger.namespaceUuid || '(none)'}`,
    );
  }
  const twin = ofUuid.find((each) => each.subsystemNqn !== wanted.subsystemNqn);
  if (twin !== undefined) {
    return mismatch(`${twin.path} has its UUID and is of the subsystem ${twin.subsystemNqn}`);
  }
  const [device, second] = ofSubsystem;
  if (device === undefined) return { kind: 'absent' };
  if (second !== undefined) {
    return mismatch(`it has two devices, ${device.path} and ${second.path}, which nothing joins`);
  }
  if (device.sizeBytes < wanted.minimumBytes) return { kind: 'too-small', device };
  return { kind: 'found', device };

  function mismatch(why: string): DeviceDecision {
    return { kind: 'mismatch', why };
  }
}
