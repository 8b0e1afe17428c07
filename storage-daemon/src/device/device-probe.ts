/**
 * What the kernel tells about a device before anything is read from it: file or block device, size, sector
 * size, cache. A partition's queue is its disk's.
 */
import { type BigIntStats, readFileSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { blockSizeBytes } from '../units.ts';
import { DeviceOpenError } from './device-open-error.ts';

/** The facts about one device. */
export interface DeviceProbe {
  readonly path: string;
  readonly kind: 'file' | 'block';
  /** Whole 4 KiB blocks only: a rest at the end is not used. */
  readonly sizeBytes: number;
  /** The smallest write; 1 for a file. */
  readonly logicalBlockBytes: number;
  /** What the hardware says of itself (`queue/write_cache`); a file counts as volatile. */
  readonly hasVolatileCache: boolean;
  /** Where sysfs describes a block device. */
  readonly sysfsFolder: string | undefined;
  /** `major:minor` of a block device. */
  readonly majorMinor: string | undefined;
}

/**
 * Looks at a device without opening it.
 *
 * @throws DeviceOpenError `not-found`, `permission-denied`, or `unsuitable` with what was found instead.
 */
export function probeDevice(path: string): DeviceProbe {
  let stats: BigIntStats;
  try {
    stats = statSync(path, { bigint: true });
  } catch (error) {
    throw DeviceOpenError.fromSystem(`Look at device "${path}"`, path, error);
  }
  const probe = stats.isFile()
    ? probeFile(path, stats)
    : stats.isBlockDevice()
      ? probeBlockDevice(path, stats)
      : undefined;
  if (!probe) {
    throw unsuitable(path, `is ${describe(stats)}; only a plain file or a block device can be one`);
  }
  if (probe.logicalBlockBytes > blockSizeBytes) {
    throw unsuitable(
      path,
      `has sectors of ${probe.logicalBlockBytes} bytes; at most ${blockSizeBytes} are supported`,
    );
  }
  if (probe.sizeBytes === 0) throw unsuitable(path, 'is smaller than one block of 4096 bytes');
  return probe;
}

function probeFile(path: string, stats: BigIntStats): DeviceProbe {
  return {
    path,
    kind: 'file',
    sizeBytes: wholeBlocks(Number(stats.size)),
    logicalBlockBytes: 1,
    hasVolatileCache: true,
    sysfsFolder: undefined,
    majorMinor: undefined,
  };
}

function probeBlockDevice(path: string, stats: BigIntStats): DeviceProbe {
  const majorMinor = `${majorOf(stats.rdev)}:${minorOf(stats.rdev)}`;
  const sysfsFolder = findSysfsFolder(path, majorMinor);
  const attribute = (name: string): string => {
    try {
      return readFileSync(join(sysfsFolder, name), 'utf8').trim();
    } catch (error) {
      throw DeviceOpenError.fromSystem(`Read ${name} of device "${path}" in sysfs`, path, error);
    }
  };
  // A partition's folder lies in its disk's.
  const queue = attribute('uevent').includes('DEVTYPE=partition') ? '../queue' : 'queue';
  return {
    path,
    kind: 'block',
    // sysfs counts in units of 512 bytes, whatever the sectors are.
    sizeBytes: wholeBlocks(Number(attribute('size')) * 512),
    logicalBlockBytes: Number(attribute(`${queue}/logical_block_size`)),
    hasVolatileCache: attribute(`${queue}/write_cache`) !== 'write through',
    sysfsFolder,
    majorMinor,
  };
}

/** The device's own folder: the one under its number is a link, and `..` of a link leads elsewhere. */
function findSysfsFolder(path: string, majorMinor: string): string {
  try {
    return realpathSync(`/sys/dev/block/${majorMinor}`);
  } catch (error) {
    throw DeviceOpenError.fromSystem(`Find device "${path}" in sysfs`, path, error);
  }
}

/** Linux's encoding of device numbers: 12 + 20 bits of major, 20 + 12 bits of minor interleaved. */
function majorOf(device: bigint): number {
  return Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n));
}

function minorOf(device: bigint): number {
  return Number((device & 0xffn) | ((device >> 12n) & 0xffffff00n));
}

function wholeBlocks(sizeBytes: number): number {
  return sizeBytes - (sizeBytes % blockSizeBytes);
}

function describe(stats: BigIntStats): string {
  if (stats.isDirectory()) return 'a directory';
  if (stats.isCharacterDevice()) return 'a character device';
  if (stats.isSocket()) return 'a socket';
  return 'neither';
}

function unsuitable(path: string, what: string): DeviceOpenError {
  return new DeviceOpenError('unsuitable', `Use "${path}" as a device: it ${what}`, {
    deviceName: path,
  });
}
