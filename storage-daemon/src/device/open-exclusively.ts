/**
 * Opens what is to be a device for this process alone, whatever does its I/O then. Another thread of the process uses
 * it through descriptors of its own: one that keeps hold of the device, whatever becomes of the first thread, and one
 * for I/O, so that each thread is told of every failure to write.
 */
import * as nodeFs from 'node:fs';

import { blockDeviceHolder, lockFile } from './device-lock.ts';
import { DeviceOpenError, systemCode } from './device-open-error.ts';
import { type DeviceProbe, probeDevice } from './device-probe.ts';
import { closeDescriptor, duplicateDescriptor, errorName } from '../uring/system-calls.ts';

/** `f_type` of a file system in memory (statfs(2)). */
const tmpfsMagic = 0x01021994;

/** A device that this process holds until it closes the descriptors. Plain values: a thread may tell another. */
export interface OpenedDevice {
  /** For I/O. */
  readonly fd: number;
  /** Keeps hold of the device; undefined if `fd` does. */
  readonly holdFd?: number | undefined;
  readonly probe: DeviceProbe;
  /** Past the page cache: memory, offsets and lengths must be aligned. */
  readonly isDirect: boolean;
}

/** How to open it. */
export interface OpenDeviceOptions {
  /** Every write then fails with `io`. */
  readonly isReadOnly?: boolean;
  /** Past the page cache, where the file system can: tmpfs, for one, only can since Linux 6.6. */
  readonly isDirect: boolean;
}

/** @throws DeviceOpenError, `in-use` if another process, mount or device on top has it. */
export function openExclusively(path: string, options: OpenDeviceOptions): OpenedDevice {
  const probe = probeDevice(path);
  const exclusive = probe.kind === 'block' ? nodeFs.constants.O_EXCL : 0;
  const access = options.isReadOnly === true ? nodeFs.constants.O_RDONLY : nodeFs.constants.O_RDWR;
  const { fd, isDirect } = openFile(probe, access | exclusive, options.isDirect);
  try {
    if (probe.kind === 'file') lockFile(fd, path);
    return { fd, probe, isDirect };
  } catch (error) {
    nodeFs.closeSync(fd);
    throw error;
  }
}

/** Opens for this thread what another one of this process holds. @throws DeviceOpenError */
export function openShared(
  { fd: heldFd, probe }: OpenedDevice,
  { isDirect }: OpenDeviceOptions,
): OpenedDevice {
  const holdFd = duplicateDescriptor(heldFd);
  if (holdFd < 0) {
    const message = `Share device "${probe.path}": dup: ${errorName(holdFd)}`;
    throw new DeviceOpenError('io', message, { deviceName: probe.path });
  }
  try {
    // Not by its name, which may mean something else by now.
    const path = `/proc/self/fd/${holdFd}`;
    const opened = openFile({ ...probe, path }, nodeFs.constants.O_RDWR, isDirect);
    return { ...opened, holdFd, probe };
  } catch (error) {
    closeDescriptor(holdFd);
    throw error;
  }
}

/** Lets go of a device whose I/O descriptor is closed. */
export function releaseHold({ holdFd }: OpenedDevice): void {
  if (holdFd !== undefined) closeDescriptor(holdFd);
}

function openFile(
  probe: DeviceProbe,
  flags: number,
  isDirect: boolean,
): { readonly fd: number; readonly isDirect: boolean } {
  try {
    const direct = isDirect ? nodeFs.constants.O_DIRECT | inlineFlag(probe) : 0;
    return { fd: nodeFs.openSync(probe.path, flags | direct), isDirect };
  } catch (error) {
    if (isDirect && probe.kind === 'file' && systemCode(error) === 'EINVAL') {
      return openFile(probe, flags, false);
    }
    throw openError(probe, error);
  }
}

/**
 * A file in memory never waits for a device, but its file system does not say so: io_uring would hand every request to
 * a kernel thread. Non-blocking, it is done at once, in the submitting call.
 */
function inlineFlag({ kind, path }: DeviceProbe): number {
  if (kind !== 'file' || nodeFs.statfsSync(path).type !== tmpfsMagic) return 0;
  return nodeFs.constants.O_NONBLOCK;
}

function openError(probe: DeviceProbe, cause: unknown): DeviceOpenError {
  const action = `Open device "${probe.path}"`;
  const holder = systemCode(cause) === 'EBUSY' ? blockDeviceHolder(probe) : undefined;
  if (holder === undefined) return DeviceOpenError.fromSystem(action, probe.path, cause);
  return new DeviceOpenError('in-use', `${action}: held by ${holder}`, {
    deviceName: probe.path,
    cause,
  });
}
