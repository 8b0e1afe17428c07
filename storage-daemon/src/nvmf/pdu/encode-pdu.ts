/** The PDUs of a controller, as bytes (TCP Transport, section 3.6.2). Everything is little-endian. */
import { assert } from '@varve/common/assert';

import { cqeBytes, digestBytes, PduFlag, PduHeaderBytes, PduType } from '../wire-constants.ts';
import { crc32c } from './crc32c.ts';
import type { PduViolation } from './pdu-violation.ts';

/** What a completion says. */
export interface Completion {
  readonly commandId: number;
  readonly queueId: number;
  readonly sqHead: number;
  /** The 16 bits of the wire. */
  readonly statusWire: number;
  /** DW0 and DW1. */
  readonly result: number;
  readonly resultHigh: number;
}

/** Which digests go with PDUs. */
export interface Digests {
  readonly hasHeaderDigest: boolean;
  readonly hasDataDigest: boolean;
}

/** Bytes of a CapsuleResp without digest. */
const capsuleRespBytes = PduHeaderBytes.COMMON + cqeBytes;
/** Bytes of an offending header that a TermReq repeats. */
const termHeaderBytesMax = 128;

/** The answer to an ICReq. It must leave in one write: older Linux hosts expect it in one piece. */
export function encodeIcResp(digestBits: number, h2cDataBytesMax: number): Buffer {
  assert(h2cDataBytesMax % 4 === 0 && h2cDataBytesMax >= 4096, 'MAXH2CDATA that hosts refuse');
  const bytes = Buffer.alloc(PduHeaderBytes.IC);
  writeCommonHeader(bytes, 0, { type: PduType.IC_RESP, flags: 0, dataOffset: 0 });
  bytes[2] = PduHeaderBytes.IC;
  bytes.writeUInt32LE(PduHeaderBytes.IC, 4);
  bytes[11] = digestBits;
  bytes.writeUInt32LE(h2cDataBytesMax, 12);
  return bytes;
}

/** Asks for data of a command. */
export function encodeR2t(
  fields: { commandId: number; transferTag: number; offsetBytes: number; lengthBytes: number },
  hasHeaderDigest: boolean,
): Buffer {
  const bytes = Buffer.allocUnsafe(PduHeaderBytes.DATA + (hasHeaderDigest ? digestBytes : 0));
  writeCommonHeader(bytes, 0, {
    type: PduType.R2T,
    flags: hasHeaderDigest ? PduFlag.HDGST : 0,
    dataOffset: 0,
  });
  bytes.writeUInt32LE(bytes.length, 4);
  bytes.writeUInt16LE(fields.commandId, 8);
  bytes.writeUInt16LE(fields.transferTag, 10);
  bytes.writeUInt32LE(fields.offsetBytes, 12);
  bytes.writeUInt32LE(fields.lengthBytes, 16);
  bytes.writeUInt32LE(0, 20);
  if (hasHeaderDigest) writeHeaderDigest(bytes, 0, PduHeaderBytes.DATA);
  return bytes;
}

/** Bytes of the header in front of a read's data. */
export function readHeadBytes({ hasHeaderDigest }: Digests): number {
  return PduHeaderBytes.DATA + (hasHeaderDigest ? digestBytes : 0);
}

/** Writes the header in front of a read's data. Without a completion behind it, it says that the command succeeded. */
export function writeReadHead(
  bytes: Buffer,
  at: number,
  read: { readonly commandId: number; readonly dataBytes: number; readonly isSuccess: boolean },
  { hasHeaderDigest, hasDataDigest }: Digests,
): void {
  const { commandId, dataBytes, isSuccess } = read;
  assert(dataBytes > 0, 'a C2HData without data');
  const headBytes = PduHeaderBytes.DATA + (hasHeaderDigest ? digestBytes : 0);
  let flags: number = PduFlag.LAST;
  if (isSuccess) flags |= PduFlag.SUCCESS;
  if (hasHeaderDigest) flags |= PduFlag.HDGST;
  if (hasDataDigest) flags |= PduFlag.DDGST;
  writeCommonHeader(bytes, at, { type: PduType.C2H_DATA, flags, dataOffset: headBytes });
  const lengthBytes = headBytes + dataBytes + (hasDataDigest ? digestBytes : 0);
  bytes.writeUInt32LE(lengthBytes, at + 4);
  bytes.writeUInt32LE(commandId, at + 8);
  bytes.writeUInt32LE(0, at + 12);
  bytes.writeUInt32LE(dataBytes, at + 16);
  bytes.writeUInt32LE(0, at + 20);
  if (hasHeaderDigest) writeHeaderDigest(bytes, at, PduHeaderBytes.DATA);
}

/**
 * The last words to a host that broke the protocol. The offending header always goes along: SPDK's initiator
 * takes a TermReq without it for malformed.
 */
export function encodeTermReq({ fatalError, information }: PduViolation, header: Buffer): Buffer {
  const copy = header.subarray(0, termHeaderBytesMax);
  const bytes = Buffer.alloc(PduHeaderBytes.TERM + copy.length);
  writeCommonHeader(bytes, 0, { type: PduType.C2H_TERM_REQ, flags: 0, dataOffset: 0 });
  bytes.writeUInt32LE(bytes.length, 4);
  bytes.writeUInt16LE(fatalError, 8);
  bytes.writeUInt32LE(information, 10);
  bytes.set(copy, PduHeaderBytes.TERM);
  return bytes;
}

/** Bytes of a completion. */
export function completionBytes({ hasHeaderDigest }: Digests): number {
  return capsuleRespBytes + (hasHeaderDigest ? digestBytes : 0);
}

/** Writes a completion. */
export function writeCapsuleResp(
  bytes: Buffer,
  at: number,
  completion: Completion,
  { hasHeaderDigest }: Digests,
): void {
  const flags = hasHeaderDigest ? PduFlag.HDGST : 0;
  writeCommonHeader(bytes, at, { type: PduType.CAPSULE_RESP, flags, dataOffset: 0 });
  const end = at + capsuleRespBytes + (hasHeaderDigest ? digestBytes : 0);
  bytes.writeUInt32LE(end - at, at + 4);
  bytes.writeUInt32LE(completion.result, at + 8);
  bytes.writeUInt32LE(completion.resultHigh, at + 12);
  bytes.writeUInt16LE(completion.sqHead, at + 16);
  bytes.writeUInt16LE(completion.queueId, at + 18);
  bytes.writeUInt16LE(completion.commandId, at + 20);
  bytes.writeUInt16LE(completion.statusWire, at + 22);
  if (hasHeaderDigest) writeHeaderDigest(bytes, at, capsuleRespBytes);
}

/** All but PLEN; HLEN is that of all PDUs but IC. */
function writeCommonHeader(
  bytes: Buffer,
  at: number,
  { type, flags, dataOffset }: { type: number; flags: number; dataOffset: number },
): void {
  bytes[at] = type;
  bytes[at + 1] = flags;
  bytes[at + 2] = PduHeaderBytes.DATA;
  bytes[at + 3] = dataOffset;
}

function writeHeaderDigest(bytes: Buffer, at: number, headerBytes: number): void {
  bytes.writeUInt32LE(crc32c(bytes.subarray(at, at + headerBytes)), at + headerBytes);
}
