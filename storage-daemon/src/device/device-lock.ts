/**
 * Exclusive use of a device for as long as it is open: two daemons on one pool would destroy it. A block
 * device is claimed by opening it with O_EXCL (the kernel then refuses mounts, other O_EXCL opens, md and
 * dm); a plain file by flock, which the kernel drops when the descriptor closes, also by a kill. A refusal
 * names the holder.
 */
import { fstatSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import koffi from 'koffi';

import { DeviceOpenError } from './device-open-error.ts';
import type { DeviceProbe } from './device-probe.ts';

/** From flock(2). */
const lockExclusive = 2;
const lockNonBlocking = 4;

const flock = koffi.load(null).func('int flock(int fd, int operation)');

/**
 * Locks an open plain file until its descriptor closes. A second open of the same process is refused as well.
 *
 * @throws DeviceOpenError `in-use`, naming the process that holds it.
 */
export function lockFile(fd: number, path: string): void {
  for (;;) {
    if (flock(fd, lockExclusive | lockNonBlocking) === 0) return;
    const code = errorName(koffi.errno());
    if (code === 'EINTR') continue;
    if (code === 'EWOULDBLOCK' || code === 'EAGAIN') {
      const holder = lockHolder(fd) ?? 'another process';
      throw new DeviceOpenError('in-use', `Lock "${path}": held by ${holder}`, {
        deviceName: path,
      });
    }
    throw new DeviceOpenError('io', `Lock "${path}": ${code}`, { deviceName: path });
  }
}

/** Who uses a block device that O_EXCL was refused for, as far as mounts and stacked devices tell. */
export function blockDeviceHolder({ sysfsFolder, majorMinor }: DeviceProbe): string | undefined {
  if (sysfsFolder === undefined) return undefined;
  const mount = readTextOrEmpty('/proc/self/mountinfo')
    .split('\n')
    .map((line) => line.split(' '))
    .find((fields) => fields[2] === majorMinor);
  if (mount?.[4] !== undefined) return `the file system mounted at "${mount[4]}"`;
  try {
    const [holder] = readdirSync(join(sysfsFolder, 'holders'));
    return holder === undefined ? undefined : `the device "${holder}" on top of it`;
  } catch {
    return undefined;
  }
}

/** The process in whose name the kernel lists the lock; undefined if it cannot be seen from here. */
function lockHolder(fd: number): string | undefined {
  const { ino } = fstatSync(fd, { bigint: true });
  const line = readTextOrEmpty('/proc/locks')
    .split('\n')
    .map((text) => text.trim().split(/\s+/))
    .find((fields) => fields[1] === 'FLOCK' && fields[5]?.endsWith(`:${ino}`) === true);
  const pid = line?.[4];
  if (pid === undefined || !/^[1-9]\d*$/.test(pid)) return undefined;
  const program = readTextOrEmpty(`/proc/${pid}/comm`).trim();
  return program === '' ? `process ${pid}` : `process ${pid} (${program})`;
}

function readTextOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function errorName(errno: number): string {
  const found = Object.entries(koffi.os.errno).find(([, value]) => value === errno);
  return found?.[0] ?? `errno ${errno}`;
}
