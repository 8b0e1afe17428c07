/**
 * Encodes replies (proto, Simple reply message, Structured reply message). A chunk is contiguous on the wire;
 * chunks of one request come together and in order, so each function encodes all of its reply.
 *
 * Answers to most requests are written straight into the batch that is sent. What is rare, or of no fixed length,
 * is a message of its own.
 */
import { assert } from '@varve/common/assert';

import { nbdCopiedReplyBytesMax, nbdHoleBytesMin, nbdStringBytesMax } from '../limits.ts';
import type { IoBuffer } from './io-buffer.ts';
import { allocationContextId } from './meta-context.ts';
import { type OutputBatch, outputPiecesMax } from './output-batch.ts';
import type { NbdCookie } from './request.ts';
import type { NbdExtent } from './volume-port.ts';
import {
  NbdAllocation,
  type NbdErrorValue,
  NbdMagic,
  NbdReplyFlag,
  NbdReplyType,
} from './wire-constants.ts';

/** Bytes of a reply without data, and of the head before data. */
export const simpleReplyBytes = 16;
const chunkHeadBytes = 20;
/** Head and offset, before data. */
const dataHeadBytes = 28;
/** A hole chunk: head, offset, size. */
const holeChunkBytes = 32;
const blockBytes = 4096;
const zeroBlock = Buffer.alloc(blockBytes);
/** Runs of zeros that are cut out of one read; with the data between them they fit an empty batch. */
const zeroRunsMax = 16;
/** Two pieces, head and data, for each run and each piece of data around it. */
const structuredPiecesMax = 2 * (2 * zeroRunsMax + 1);
assert(structuredPiecesMax <= outputPiecesMax, 'an empty batch takes every answer to a read');

/** A successful read that is to be answered. */
export interface ReadReply extends NbdCookie {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** Its first `lengthBytes` are the data. */
  readonly buffer: IoBuffer;
}

/** A run of bytes in the data of a read. */
interface Run {
  readonly start: number;
  readonly end: number;
}

/** A reply without data; error 0 is success. */
export function encodeSimpleReply(cookie: NbdCookie, error: NbdErrorValue | 0): Buffer {
  const bytes = Buffer.allocUnsafe(simpleReplyBytes);
  writeSimpleHead(bytes, 0, cookie, error);
  return bytes;
}

/** The reply to a change that was done; false if it does not fit. */
export function tryWriteSuccess(batch: OutputBatch, cookie: NbdCookie): boolean {
  if (!batch.hasRoom(simpleReplyBytes, 1)) return false;
  writeSimpleHead(batch.bytes, batch.reserve(simpleReplyBytes), cookie, 0);
  return true;
}

/** A read's reply without structured replies; false if it does not fit. The buffer is then still the caller's. */
export function tryWriteSimpleRead(batch: OutputBatch, read: ReadReply): boolean {
  const { buffer, lengthBytes } = read;
  const isCopied = lengthBytes <= nbdCopiedReplyBytesMax;
  const copiedBytes = isCopied ? lengthBytes : 0;
  if (!batch.hasRoom(simpleReplyBytes + copiedBytes, 2)) return false;
  writeSimpleHead(batch.bytes, batch.reserve(simpleReplyBytes), read, 0);
  if (isCopied) copyData(batch, buffer, 0, lengthBytes);
  else batch.addInPlace(buffer, 0, lengthBytes);
  batch.hold(buffer);
  return true;
}

/**
 * A read's structured reply; false if it does not fit. Long runs of zeros go as holes; with DF there is one chunk
 * only (proto, NBD_CMD_FLAG_DF).
 */
export function tryWriteStructuredRead(
  batch: OutputBatch,
  read: ReadReply,
  isUnfragmented: boolean,
): boolean {
  const { buffer, lengthBytes } = read;
  const isCopied = lengthBytes <= nbdCopiedReplyBytesMax;
  const headBytes = isCopied ? dataHeadBytes : (2 * zeroRunsMax + 1) * holeChunkBytes;
  const pieces = isCopied ? 1 : structuredPiecesMax;
  if (!batch.hasRoom(headBytes + holeChunkBytes + (isCopied ? lengthBytes : 0), pieces))
    return false;
  batch.hold(buffer);
  if (lengthBytes === 0) {
    writeNone(batch, read);
    return true;
  }
  const zeroRuns = findZeroRuns(buffer.bytes, lengthBytes, isUnfragmented);
  let next = 0;
  for (const { start, end } of zeroRuns) {
    if (start > next) writeData(batch, read, { start: next, end: start });
    writeHole(batch, read, { start, end });
    next = end;
  }
  if (next < lengthBytes) writeData(batch, read, { start: next, end: lengthBytes });
  return true;
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

function writeNone(batch: OutputBatch, cookie: NbdCookie): void {
  const at = batch.reserve(chunkHeadBytes);
  const chunk = { isLast: true, type: NbdReplyType.NONE, lengthBytes: 0 };
  writeChunkHead(batch.bytes, at, cookie, chunk);
}

function writeData(batch: OutputBatch, read: ReadReply, { start, end }: Run): void {
  const isLast = end === read.lengthBytes;
  const at = batch.reserve(dataHeadBytes);
  const lengthBytes = 8 + end - start;
  const type = NbdReplyType.OFFSET_DATA;
  writeChunkHead(batch.bytes, at, read, { isLast, type, lengthBytes });
  writeU64(batch.bytes, at + chunkHeadBytes, read.offsetBytes + start);
  // What is short as a whole is copied whole, and there was room for it.
  if (read.lengthBytes <= nbdCopiedReplyBytesMax) copyData(batch, read.buffer, start, end);
  else batch.addInPlace(read.buffer, start, end - start);
}

function writeHole(batch: OutputBatch, read: ReadReply, { start, end }: Run): void {
  const isLast = end === read.lengthBytes;
  const { bytes } = batch;
  const at = batch.reserve(holeChunkBytes);
  writeChunkHead(bytes, at, read, { isLast, type: NbdReplyType.OFFSET_HOLE, lengthBytes: 12 });
  writeU64(bytes, at + chunkHeadBytes, read.offsetBytes + start);
  bytes.writeUInt32BE(end - start, at + chunkHeadBytes + 8);
}

function copyData(batch: OutputBatch, { bytes }: IoBuffer, start: number, end: number): void {
  if (end > start) bytes.copy(batch.bytes, batch.reserve(end - start), start, end);
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

const noRuns: readonly Run[] = [];

/**
 * Runs of zeros that are worth a chunk of their own: all of the data, or at least `nbdHoleBytesMin`. Looks at
 * pieces of 4 KiB; most data has a first byte that is not zero, and costs one look.
 */
function findZeroRuns(data: Buffer, lengthBytes: number, isUnfragmented: boolean): readonly Run[] {
  const worthBytes = isUnfragmented ? lengthBytes : Math.min(nbdHoleBytesMin, lengthBytes);
  let runs: Run[] | undefined;
  let runStart = 0;
  for (let at = 0; at < lengthBytes; at += blockBytes) {
    const end = Math.min(at + blockBytes, lengthBytes);
    const isZero = data[at] === 0 && zeroBlock.compare(data, at, end, 0, end - at) === 0;
    if (isZero) continue;
    if (at - runStart >= worthBytes && at > runStart)
      (runs ??= []).push({ start: runStart, end: at });
    runStart = end;
  }
  const restBytes = lengthBytes - runStart;
  if (restBytes > 0 && restBytes >= worthBytes)
    (runs ??= []).push({ start: runStart, end: lengthBytes });
  // Holes are an offer: so many short ones are sent as the data that they are.
  return runs === undefined || runs.length > zeroRunsMax ? noRuns : runs;
}
