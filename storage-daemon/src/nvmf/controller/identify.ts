/**
 * Identify data (NVMe Base 2.0, section 5.17; NVM Command Set 1.0, section 4.1.5): 4096 bytes each, zero where
 * nothing is said.
 */
import {
  nvmeCapsuleDataBytesMax,
  nvmeEventRequestsMax,
  nvmeQueueEntriesMax,
} from '../../limits.ts';
import { blockSizeBytes } from '../../units.ts';
import { cqeBytes, ControllerType, sqeBytes, volumeNsid } from '../wire-constants.ts';
import { nvmeVersion } from './properties.ts';

/** What Identify says about a controller. */
export interface ControllerIdentity {
  readonly controllerId: number;
  readonly isDiscovery: boolean;
  readonly subsystemNqn: string;
  /** Stable for all controllers of a subsystem. */
  readonly serialNumber: string;
  readonly firmwareRevision: string;
}

/** Bytes of every Identify structure. */
export const identifyBytes = 4096;
const modelNumber = 'Varve volume';
/** 4 KiB << 8 is the largest transfer. */
const mdts = 8;
/**
 * Limits of commands that bring no data of that size: zeroing 256 MiB, verifying 1 MiB, and discarding 1 GiB in a
 * range and 64 GiB at once. Each stays far below the 30 s after which Linux gives up on a command.
 */
export const writeZeroesShift = 16;
/** See `writeZeroesShift`. */
export const verifyShift = 8;
/** See `writeZeroesShift`. */
export const discardRangeBlocksMax = 262_144;
/** See `writeZeroesShift`. */
export const discardBlocksMax = 64 * discardRangeBlocksMax;
/** Ranges of one Dataset Management command. */
export const discardRangesMax = 256;

/** Namespaces that a host must be ready for: Linux sizes its lists by it. */
const namespacesMax = 1024;

/** CNS 01. */
export function identifyController(identity: ControllerIdentity): Buffer {
  const bytes = Buffer.alloc(identifyBytes);
  const { isDiscovery } = identity;
  writeAscii(bytes, 4, 20, identity.serialNumber);
  writeAscii(bytes, 24, 40, modelNumber);
  writeAscii(bytes, 64, 8, identity.firmwareRevision);
  bytes[76] = isDiscovery ? 0 : 0x03; // CMIC: several ports and controllers, no ANA
  bytes[77] = mdts;
  bytes.writeUInt16LE(identity.controllerId, 78);
  bytes.writeUInt32LE(nvmeVersion, 80);
  bytes.writeUInt32LE(isDiscovery ? 0x8000_0000 : 0x0000_0100, 92); // OAES
  bytes.writeUInt32LE(0x1, 96); // CTRATT: 128-bit host identifier
  bytes[111] = isDiscovery ? ControllerType.DISCOVERY : ControllerType.IO;
  bytes[258] = 3; // ACL
  bytes[259] = nvmeEventRequestsMax - 1;
  bytes[261] = 0x04; // LPA: offsets in log pages
  bytes.writeUInt16LE(10, 320); // KAS: 1 s
  bytes[512] = 0x66;
  bytes[513] = 0x44;
  bytes.writeUInt16LE(nvmeQueueEntriesMax + 1, 514);
  if (!isDiscovery) writeIoFields(bytes);
  bytes.writeUInt32LE(0x0010_0001, 536); // SGLS: in-capsule offsets, transport blocks
  bytes.write(identity.subsystemNqn, 768, 255, 'utf8');
  bytes.writeUInt32LE((sqeBytes + nvmeCapsuleDataBytesMax) / 16, 1792); // IOCCSZ
  bytes.writeUInt32LE(cqeBytes / 16, 1796); // IORCSZ
  bytes[1803] = 1; // MSDBD
  if (isDiscovery) bytes[1806] = 1; // DCTYPE
  return bytes;
}

function writeIoFields(bytes: Buffer): void {
  bytes.writeUInt32LE(namespacesMax, 516);
  // ONCS: compare, dataset management, write zeroes, verify
  bytes.writeUInt16LE(0x008d, 520);
  bytes[525] = 0x07; // VWC: a volatile cache; flush of all namespaces works
  bytes.writeUInt32LE(namespacesMax, 540);
}

/** CNS 00. Its size is that of the moment: a later Identify may say more. */
export function identifyNamespace(
  sizeBytes: number,
  isReadOnly: boolean,
  uuid: Uint8Array,
): Buffer {
  const bytes = Buffer.alloc(identifyBytes);
  const sizeBlocks = BigInt(sizeBytes / blockSizeBytes);
  bytes.writeBigUInt64LE(sizeBlocks, 0);
  bytes.writeBigUInt64LE(sizeBlocks, 8);
  bytes.writeBigUInt64LE(sizeBlocks, 16);
  bytes[30] = 1; // NMIC: shared by controllers
  bytes[33] = 0x09; // DLFEAT: deallocated blocks read as zeros; DEAC works
  bytes[99] = isReadOnly ? 1 : 0;
  bytes.set(uuid, 104); // NGUID
  bytes[130] = Math.log2(blockSizeBytes); // LBAF0: no metadata, 4 KiB
  return bytes;
}

/** CNS 02: namespaces after `afterNsid`. */
export function identifyNamespaceList(afterNsid: number): Buffer {
  const bytes = Buffer.alloc(identifyBytes);
  if (afterNsid < volumeNsid) bytes.writeUInt32LE(volumeNsid, 0);
  return bytes;
}

/** CNS 03: UUID and NGUID, which are the same 16 bytes. */
export function identifyDescriptors(uuid: Uint8Array): Buffer {
  const bytes = Buffer.alloc(identifyBytes);
  const types = [3, 2];
  types.forEach((type, index) => {
    const at = index * 20;
    bytes[at] = type;
    bytes[at + 1] = uuid.length;
    bytes.set(uuid, at + 4);
  });
  return bytes;
}

/** CNS 06 of the NVM command set. */
export function identifyNvmController(): Buffer {
  const bytes = Buffer.alloc(identifyBytes);
  bytes[0] = verifyShift;
  bytes[1] = writeZeroesShift;
  bytes[3] = discardRangesMax - 1;
  bytes.writeUInt32LE(discardRangeBlocksMax, 4);
  bytes.writeBigUInt64LE(BigInt(discardBlocksMax), 8);
  return bytes;
}

/** ASCII padded with spaces (Base, section 1.5). */
function writeAscii(bytes: Buffer, at: number, lengthBytes: number, text: string): void {
  bytes.write(text.padEnd(lengthBytes).slice(0, lengthBytes), at, 'latin1');
}
