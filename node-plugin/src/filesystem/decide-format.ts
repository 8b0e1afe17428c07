/**
 * Whether a device is formatted, used or refused. A device is formatted only where the daemon knows that
 * nothing was ever written to it, and the device, read just now, says the same; or where a format that we
 * began was not finished. Two witnesses that disagree are a reason to stop, never to format.
 */
import type { Filesystem } from '@varve/contract/filesystem';
import type { FilesystemType, ProbeResult } from '../system/node-system.ts';

/** What is known of a volume's file system. */
export interface FormatWorld {
  /** What the daemon remembers. */
  readonly recorded: Filesystem;
  /** What the device says; a device that could not be read has no say, and nothing is decided. */
  readonly probe: ProbeResult;
  /** What the PersistentVolume asks for. */
  readonly wanted: FilesystemType;
  /** Access that forbids writing. */
  readonly isReadOnly: boolean;
}

/** What to do. */
export type FormatDecision =
  | { readonly kind: 'use' }
  | { readonly kind: 'format' }
  | { readonly kind: 'refuse'; readonly why: string };

/** Decides on the two witnesses. */
export function decideFormat(world: FormatWorld): FormatDecision {
  const { recorded, probe, wanted, isReadOnly } = world;
  const found = describe(probe);
  if (recorded.state === 'ready') {
    if (recorded.type !== wanted) {
      return refuse(`it holds ${recorded.type}, and the PersistentVolume asks for ${wanted}`);
    }
    if (probe.kind === 'filesystem' && probe.type === wanted) return { kind: 'use' };
    return refuse(
      `it was formatted with ${wanted}, and the device holds ${found}: it was overwritten, or is not the volume`,
    );
  }
  // Somebody else's data on a volume that we never formatted: it may be mounted, and is never formatted.
  if (recorded.state === 'blank' && probe.kind !== 'nothing') {
    if (probe.kind === 'filesystem' && probe.type === wanted) return { kind: 'use' };
    return refuse(
      `it was never formatted for pods, and the device holds ${found}, where ${wanted} is asked for`,
    );
  }
  if (isReadOnly) return refuse('it has no file system yet, and read-only access cannot make one');
  return { kind: 'format' };
}

function describe(probe: ProbeResult): string {
  if (probe.kind === 'nothing') return 'nothing that blkid knows';
  return probe.kind === 'filesystem' ? probe.type : probe.what;
}

function refuse(why: string): FormatDecision {
  return { kind: 'refuse', why };
}
