/**
 * The superblock says what pool a device belongs to and how the pool is laid out. It is written only at format, grow
 * and device add, each time with a higher generation, at 0, at 1 MiB and in the last MiB of every device, so that a
 * partition tool, a dead sector or a truncated copy does not take all of it.
 *
 *   OFFSET SIZE FIELD
 *        0    8 magic "VARVESB1"
 *        8    4 version
 *       12    4 compatible features            a reader that does not know one goes on
 *       16    4 read-only-compatible features  ... opens read-only
 *       20    4 incompatible features          ... refuses
 *       24   16 poolUuid
 *       40    8 generation
 *       48    1 nameLength
 *       49  100 name
 *      149    3 reserved
 *      152    1 copyNumber     left out of the checksum, so that all copies on a device have the same
 *      153    1 deviceIndex
 *      154    1 deviceCount
 *      155    1 reserved
 *      156    4 groupBlocks    blocks per allocation group
 *      160    4 ringBlocks     journal blocks per cell
 *      164    4 cellCount
 *      168    4 tableFanOut
 *      172    4 leafClusters
 *      176    4 reserveBlocks  per cell
 *      180    4 reserved
 *      184    8 createdMs      f64
 *      192 1024 deviceTable    16 entries: uuid 16, sizeBlocks 8, firstGroup 4, groupCount 4, groupStartBlock 8,
 *                             reserved 24
 *     1216 2876 reserved
 *     4092    4 crc32c
 *
 * Invariants: groups of the devices are consecutive from 0; they lie between the fixed area and the last MiB.
 */
import { assert } from '@varve/common/assert';

import { blockSizeBytes } from '../units.ts';
import {
  checkPageSize,
  checkReserved,
  decodeText,
  encodeText,
  readSafeInteger,
  viewOf,
  writeSafeInteger,
} from './byte-fields.ts';
import { nameBytesMax } from './catalog-record.ts';
import { crc32c } from './checksum.ts';
import { checkFormat } from './corruption-error.ts';

/** The first bytes of a device that belongs to a pool. */
export const superblockMagic = 'VARVESB1';
/** Most devices of a pool. */
export const poolDevicesMax = 16;
const magicBytes = encodeText(superblockMagic);
/** The version of the format that this build writes. */
export const formatVersion = 1;
/** Incompatible feature bits that this version knows: none yet. */
const knownIncompatible = 0;
const knownReadOnlyCompatible = 0;
const copyOffset = 152;
const deviceTableOffset = 192;
const deviceEntryBytes = 64;
const endOffset = deviceTableOffset + poolDevicesMax * deviceEntryBytes;
const crcOffset = blockSizeBytes - 4;
assert(endOffset <= crcOffset, 'a superblock fits its block');

/** One device of the pool. */
export interface SuperblockDevice {
  readonly uuid: Uint8Array;
  readonly sizeBlocks: number;
  readonly firstGroup: number;
  readonly groupCount: number;
  /** Block of the device where its first group begins. */
  readonly groupStartBlock: number;
}

/** Sizes that never change. */
export interface PoolGeometry {
  readonly groupBlocks: number;
  readonly ringBlocks: number;
  readonly cellCount: number;
  readonly tableFanOut: number;
  readonly leafClusters: number;
  readonly reserveBlocks: number;
}

/** A superblock of one device. */
export interface Superblock {
  readonly poolUuid: Uint8Array;
  readonly poolName: string;
  readonly generation: number;
  readonly deviceIndex: number;
  readonly geometry: PoolGeometry;
  readonly createdMs: number;
  readonly devices: readonly SuperblockDevice[];
  /** True if a read-only-compatible feature is not known here. */
  readonly isReadOnly: boolean;
}

function assertConsistent(superblock: Superblock): void {
  const { devices, geometry } = superblock;
  assert(superblock.poolUuid.length === 16, 'a pool UUID has 16 bytes');
  assert(devices.length >= 1 && devices.length <= poolDevicesMax, `${devices.length} devices`);
  assert(superblock.deviceIndex < devices.length, `device ${superblock.deviceIndex}`);
  let group = 0;
  for (const device of devices) {
    assert(device.firstGroup === group, 'groups are consecutive');
    const end = device.groupStartBlock + device.groupCount * geometry.groupBlocks;
    assert(end <= device.sizeBlocks, 'groups lie inside the device');
    group += device.groupCount;
  }
}

/** Writes one copy of a superblock. */
export function encodeSuperblock(
  superblock: Superblock,
  copyNumber: number,
  target: Uint8Array,
): void {
  assertConsistent(superblock);
  assert(target.length === blockSizeBytes, `${target.length} bytes are not a page`);
  target.fill(0);
  const view = viewOf(target);
  target.set(magicBytes, 0);
  view.setUint32(8, formatVersion, true);
  target.set(superblock.poolUuid, 24);
  writeSafeInteger(view, 40, superblock.generation);
  const name = encodeText(superblock.poolName);
  assert(name.length <= nameBytesMax, `a pool name of ${name.length} bytes`);
  view.setUint8(48, name.length);
  target.set(name, 49);
  view.setUint8(153, superblock.deviceIndex);
  view.setUint8(154, superblock.devices.length);
  const { geometry } = superblock;
  const numbers = [
    geometry.groupBlocks,
    geometry.ringBlocks,
    geometry.cellCount,
    geometry.tableFanOut,
    geometry.leafClusters,
    geometry.reserveBlocks,
  ];
  for (const [index, value] of numbers.entries()) view.setUint32(156 + 4 * index, value, true);
  view.setFloat64(184, superblock.createdMs, true);
  for (const [index, device] of superblock.devices.entries()) {
    const offset = deviceTableOffset + index * deviceEntryBytes;
    target.set(device.uuid, offset);
    writeSafeInteger(view, offset + 16, device.sizeBlocks);
    view.setUint32(offset + 24, device.firstGroup, true);
    view.setUint32(offset + 28, device.groupCount, true);
    writeSafeInteger(view, offset + 32, device.groupStartBlock);
  }
  view.setUint32(crcOffset, crc32c(target.subarray(0, crcOffset)), true);
  view.setUint8(copyOffset, copyNumber);
}

/** True if the bytes begin like a superblock, whether or not the rest is intact. */
export function hasSuperblockMagic(page: Uint8Array): boolean {
  return magicBytes.every((byte, index) => page[index] === byte);
}

/**
 * Reads a copy of a superblock.
 *
 * @throws CorruptionError `length`, `magic`, `checksum`, `position`, `version`, `features`, `reserved` or `range`
 */
export function decodeSuperblock(page: Uint8Array, copyNumber: number): Superblock {
  checkPageSize(page);
  checkFormat(hasSuperblockMagic(page), 'magic', () => 'not a superblock of Varve', 0);
  const copy = new Uint8Array(page);
  const foundCopy = copy[copyOffset]!;
  copy[copyOffset] = 0;
  const view = viewOf(copy);
  const isIntact = view.getUint32(crcOffset, true) === crc32c(copy.subarray(0, crcOffset));
  checkFormat(isIntact, 'checksum', () => 'the checksum of a superblock is wrong', crcOffset);
  checkFormat(
    foundCopy === copyNumber,
    'position',
    () => `found copy ${foundCopy} in place of ${copyNumber}`,
    copyOffset,
  );
  checkVersion(view);
  checkReserved(copy, 155, 156);
  checkReserved(copy, 180, 184);
  const deviceCount = view.getUint8(154);
  const deviceIndex = view.getUint8(153);
  const nameLength = view.getUint8(48);
  checkFormat(
    deviceCount >= 1 && deviceCount <= poolDevicesMax && deviceIndex < deviceCount,
    'range',
    () => `device ${deviceIndex} of ${deviceCount}`,
    153,
  );
  checkFormat(nameLength <= nameBytesMax, 'range', () => `name length ${nameLength}`, 48);
  checkReserved(copy, 49 + nameLength, copyOffset);
  checkReserved(copy, deviceTableOffset + deviceCount * deviceEntryBytes, crcOffset);
  const createdMs = view.getFloat64(184, true);
  checkFormat(Number.isFinite(createdMs), 'range', () => `creation time ${createdMs}`, 184);
  return {
    poolUuid: copy.slice(24, 40),
    poolName: decodeText(copy.subarray(49, 49 + nameLength), 49),
    generation: readSafeInteger(view, 40),
    deviceIndex,
    geometry: {
      groupBlocks: view.getUint32(156, true),
      ringBlocks: view.getUint32(160, true),
      cellCount: view.getUint32(164, true),
      tableFanOut: view.getUint32(168, true),
      leafClusters: view.getUint32(172, true),
      reserveBlocks: view.getUint32(176, true),
    },
    createdMs,
    devices: Array.from({ length: deviceCount }, (_, index) => decodeDevice(copy, index)),
    isReadOnly: (view.getUint32(16, true) & ~knownReadOnlyCompatible) !== 0,
  };
}

function checkVersion(view: DataView): void {
  const version = view.getUint32(8, true);
  checkFormat(
    version === formatVersion,
    'version',
    () => `format version ${version}: this version reads ${formatVersion}`,
    8,
  );
  const features = view.getUint32(20, true);
  checkFormat(
    (features & ~knownIncompatible) === 0,
    'features',
    () => `the pool uses features 0x${features.toString(16)} that this version does not know`,
    20,
  );
}

function decodeDevice(page: Uint8Array, index: number): SuperblockDevice {
  const view = viewOf(page);
  const offset = deviceTableOffset + index * deviceEntryBytes;
  checkReserved(page, offset + 40, offset + deviceEntryBytes);
  return {
    uuid: page.slice(offset, offset + 16),
    sizeBlocks: readSafeInteger(view, offset + 16),
    firstGroup: view.getUint32(offset + 24, true),
    groupCount: view.getUint32(offset + 28, true),
    groupStartBlock: readSafeInteger(view, offset + 32),
  };
}
