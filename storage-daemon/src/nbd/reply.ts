/**
 * Encodes replies (proto, Simple reply message, Structured reply message). A chunk is contiguous on the
 * wire; chunks of one request come together and in order, so each function returns all bytes of its reply.
 */
import { nbdHoleBytesMin, nbdStringBytesMax } from '../limits.ts';
import { allocationContextId } from './meta-context.ts';
import type { NbdCookie } from './request.ts';
import type { NbdExtent } from './volume-port.ts';
import {
  NbdAllocation,
  type NbdErrorValue,
  NbdMagic,
  NbdReplyFlag,
  NbdReplyType,
} from './wire-constants.ts';

/** Room that a read leaves in front of its data, for the longest head that may come before it. */
export const readHeadroomBytes = 28;

/** A hole chunk: head, offset, size. */
const holeChunkBytes = 32;
const chunkHeadBytes = 20;
const simpleReplyBytes = 16;
const blockBytes = 4096;
const zeroBlock = Buffer.alloc(blockBytes);

/** A reply without data; error 0 is success. */
export function encodeSimpleReply(cookie: NbdCookie, error: NbdErrorValue | 0): Buffer {
  const bytes = Buffer.allocUnsafe(simpleReplyBytes);
  writeSimpleHead(bytes, 0, cookie, error);
  return bytes;
}

/** A successful read without structured replies; `buffer` is headroom and data. */
export function encodeSimpleRead(cookie: NbdCookie, buffer: Buffer): Buffer {
  const start = readHeadroomBytes - simpleReplyBytes;
  writeSimpleHead(buffer, start, cookie, 0);
  return buffer.subarray(start);
}

/** A chunk that says that nothing more comes. */
export function encodeNone(cookie: NbdCookie): Buffer {
  const bytes = Buffer.allocUnsafe(chunkHeadBytes);
  writeChunkHead(bytes, 0, cookie, { isLast: true, type: NbdReplyType.NONE, lengthBytes: 0 });
  return bytes;
}

/** A chunk that says that, and why, a request failed. */
export function encodeErrorChunk(cookie: NbdCookie, error: NbdErrorValue, message: string): Buffer {
  const text = Buffer.from(message).subarray(0, nbdStringBytesMax);
  const bytes = Buffer.allocUnsafe(chunkHeadBytes + 6 + text.length);
  const lengthBytes = 6 + text.length;
  writeChunkHead(bytes, 0, cookie, { isLast: true, type: NbdReplyType.ERROR, lengthBytes });
  bytes.writeUInt32BE(error, chunkHeadBytes);
  bytes.writeUInt16BE(text.length, chunkHeadBytes + 4);
  bytes.set(text, chunkHeadBytes + 6);
  return bytes;
}

/**
 * A successful structured read; `buffer` is headroom and data. Long runs of zeros go as holes; with DF
 * there is one chunk only (proto, NBD_CMD_FLAG_DF).
 */
export function encodeStructuredRead(
  cookie: NbdCookie,
  offsetBytes: number,
  buffer: Buffer,
  isUnfragmented: boolean,
): Buffer[] {
  const data = buffer.subarray(readHeadroomBytes);
  if (data.length === 0) return [encodeNone(cookie)];
  const zeroRuns = findZeroRuns(data).filter(
    ({ start, end }) => !isUnfragmented || end - start === data.length,
  );
  if (zeroRuns.length === 0) {
    writeDataHead(buffer, cookie, { offsetBytes, lengthBytes: data.length, isLast: true });
    return [buffer];
  }
  const chunks: Buffer[] = [];
  let next = 0;
  for (const { start, end } of zeroRuns) {
    if (start > next)
      chunks.push(...dataChunk(cookie, offsetBytes + next, data.subarray(next, start), false));
    chunks.push(holeChunk(cookie, offsetBytes + start, end - start, end === data.length));
    next = end;
  }
  if (next < data.length)
    chunks.push(...dataChunk(cookie, offsetBytes + next, data.subarray(next), true));
  return chunks;
}

/**
 * The answer to BLOCK_STATUS: one chunk for the one context that there is (proto,
 * NBD_REPLY_TYPE_BLOCK_STATUS).
 */
export function encodeBlockStatus(cookie: NbdCookie, extents: readonly NbdExtent[]): Buffer {
  const lengthBytes = 4 + 8 * extents.length;
  const bytes = Buffer.allocUnsafe(chunkHeadBytes + lengthBytes);
  writeChunkHead(bytes, 0, cookie, { isLast: true, type: NbdReplyType.BLOCK_STATUS, lengthBytes });
  bytes.writeUInt32BE(allocationContextId, chunkHeadBytes);
  let at = chunkHeadBytes + 4;
  for (const { lengthBytes, state } of extents) {
    bytes.writeUInt32BE(lengthBytes, at);
    const flags = state === 'data' ? NbdAllocation.DATA : NbdAllocation.HOLE | NbdAllocation.ZERO;
    bytes.writeUInt32BE(flags, at + 4);
    at += 8;
  }
  return bytes;
}

function dataChunk(
  cookie: NbdCookie,
  offsetBytes: number,
  data: Buffer,
  isLast: boolean,
): Buffer[] {
  const head = Buffer.allocUnsafe(readHeadroomBytes);
  writeDataHead(head, cookie, { offsetBytes, lengthBytes: data.length, isLast });
  return [head, data];
}

function holeChunk(
  cookie: NbdCookie,
  offsetBytes: number,
  lengthBytes: number,
  isLast: boolean,
): Buffer {
  const bytes = Buffer.allocUnsafe(holeChunkBytes);
  writeChunkHead(bytes, 0, cookie, { isLast, type: NbdReplyType.OFFSET_HOLE, lengthBytes: 12 });
  writeU64(bytes, chunkHeadBytes, offsetBytes);
  bytes.writeUInt32BE(lengthBytes, chunkHeadBytes + 8);
  return bytes;
}

function writeDataHead(
  bytes: Buffer,
  cookie: NbdCookie,
  chunk: { offsetBytes: number; lengthBytes: number; isLast: boolean },
): void {
  const { isLast, offsetBytes } = chunk;
  const lengthBytes = 8 + chunk.lengthBytes;
  writeChunkHead(bytes, 0, cookie, { isLast, type: NbdReplyType.OFFSET_DATA, lengthBytes });
  writeU64(bytes, chunkHeadBytes, offsetBytes);
}

function writeChunkHead(
  bytes: Buffer,
  at: number,
  { cookieHigh, cookieLow }: NbdCookie,
  chunk: { isLast: boolean; type: number; lengthBytes: number },
): void {
  bytes.writeUInt32BE(NbdMagic.STRUCTURED_REPLY, at);
  bytes.writeUInt16BE(chunk.isLast ? NbdReplyFlag.DONE : 0, at + 4);
  bytes.writeUInt16BE(chunk.type, at + 6);
  bytes.writeUInt32BE(cookieHigh, at + 8);
  bytes.writeUInt32BE(cookieLow, at + 12);
  bytes.writeUInt32BE(chunk.lengthBytes, at + 16);
}

function writeSimpleHead(
  bytes: Buffer,
  at: number,
  { cookieHigh, cookieLow }: NbdCookie,
  error: NbdErrorValue | 0,
): void {
  bytes.writeUInt32BE(NbdMagic.SIMPLE_REPLY, at);
  bytes.writeUInt32BE(error, at + 4);
  bytes.writeUInt32BE(cookieHigh, at + 8);
  bytes.writeUInt32BE(cookieLow, at + 12);
}

function writeU64(bytes: Buffer, at: number, value: number): void {
  bytes.writeUInt32BE(Math.floor(value / 2 ** 32), at);
  bytes.writeUInt32BE(value % 2 ** 32, at + 4);
}

/**
 * Runs of zeros that are worth a chunk of their own: all of the data, or at least `nbdHoleBytesMin`. Looks at
 * pieces of 4 KiB; most data has a first byte that is not zero, and costs one look.
 */
function findZeroRuns(data: Buffer): { start: number; end: number }[] {
  const runs: { start: number; end: number }[] = [];
  let runStart = 0;
  const endRun = (end: number) => {
    if (end - runStart >= Math.min(nbdHoleBytesMin, data.length))
      runs.push({ start: runStart, end });
  };
  for (let at = 0; at < data.length; at += blockBytes) {
    const end = Math.min(at + blockBytes, data.length);
    const isZero = data[at] === 0 && zeroBlock.compare(data, at, end, 0, end - at) === 0;
    if (!isZero) {
      endRun(at);
      runStart = end;
    }
  }
  endRun(data.length);
  return runs;
}
