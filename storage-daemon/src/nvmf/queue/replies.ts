/**
 * What a queue sends for commands: completions, with data in front of them where there is some. Replies are encoded
 * only when they leave, straight into the bytes that are sent; their objects are used again and again.
 */
import { assert } from '@varve/common/assert';

import { nbdCopiedReplyBytesMax } from '../../limits.ts';
import type { IoBuffer, IoBufferPool } from '../../nbd/io-buffer.ts';
import type { OutputBatch } from '../../nbd/output-batch.ts';
import type { Reply } from '../../nbd/output-queue.ts';
import type { CommandReply } from '../controller/command-reply.ts';
import { encodeStatus, NvmeStatus } from '../nvme-status.ts';
import { crc32c } from '../pdu/crc32c.ts';
import {
  completionBytes,
  type Completion,
  type Digests,
  readHeadBytes,
  writeCapsuleResp,
  writeReadHead,
} from '../pdu/encode-pdu.ts';
import { digestBytes } from '../wire-constants.ts';
import type { CommandSlot } from './command-slot.ts';

/** What Connect has settled. */
export interface QueueTerms {
  readonly queueId: number;
  /** SQSIZE + 1. */
  readonly entries: number;
  readonly hasNoSqFlow: boolean;
}

/** What replies need. */
export interface RepliesDependencies {
  readonly buffers: IoBufferPool;
  readonly send: (reply: Reply) => void;
}

/** SQHD in the answer to a Connect that turned flow control off (Fabrics, section 3.3). */
const noFlowSqHead = 0xffff;

/** The replies of one queue. */
export class Replies {
  readonly #digests: Digests;
  readonly #dependencies: RepliesDependencies;
  /** As many as commands were under way at once, at most. */
  readonly #free: PooledReply[] = [];
  #terms: QueueTerms = { queueId: 0, entries: 1, hasNoSqFlow: false };
  #isConnectReply = false;
  #fetchedCount = 0;

  constructor(digests: Digests, dependencies: RepliesDependencies) {
    this.#digests = digests;
    this.#dependencies = dependencies;
  }

  /** The queue is connected; the next reply says so. */
  connected(terms: QueueTerms): void {
    this.#terms = terms;
    this.#isConnectReply = true;
  }

  /** A command was taken from the queue. */
  commandFetched(): void {
    this.#fetchedCount++;
  }

  /** Answers a command. */
  send(command: CommandSlot, { status, result = 0, resultHigh = 0, data }: CommandReply): void {
    const reply = this.#newReply(command);
    reply.statusWire = encodeStatus(status);
    reply.result = result;
    reply.resultHigh = resultHigh;
    if (data && status === NvmeStatus.SUCCESS) {
      assert(data.length === command.sglBytes, `${data.length} bytes for ${command.sglBytes}`);
      reply.buffer = this.#dependencies.buffers.acquire(data.length);
      reply.buffer.bytes.set(data);
      reply.dataBytes = data.length;
    }
    this.#finish(reply);
  }

  /** Answers a read with its buffer, which is the reply's from now on. */
  sendRead(command: CommandSlot): void {
    const reply = this.#newReply(command);
    reply.buffer = command.buffer;
    reply.dataBytes = command.sglBytes;
    command.buffer = undefined;
    this.#finish(reply);
  }

  #newReply({ commandId }: CommandSlot): PooledReply {
    const { buffers } = this.#dependencies;
    const reply =
      this.#free.pop() ??
      new PooledReply(this.#digests, { buffers, free: (each) => this.#free.push(each) });
    reply.commandId = commandId;
    reply.statusWire = 0;
    reply.result = 0;
    reply.resultHigh = 0;
    reply.dataBytes = 0;
    return reply;
  }

  #finish(reply: PooledReply): void {
    const { queueId, hasNoSqFlow } = this.#terms;
    const hasNoResult = reply.result === 0 && reply.resultHigh === 0;
    reply.hasCompletion = reply.dataBytes === 0 || !hasNoSqFlow || !hasNoResult;
    reply.queueId = queueId;
    reply.sqHead = this.#sqHead();
    this.#dependencies.send(reply);
  }

  #sqHead(): number {
    const { entries, hasNoSqFlow } = this.#terms;
    const isConnectReply = this.#isConnectReply;
    this.#isConnectReply = false;
    if (!hasNoSqFlow) return this.#fetchedCount % entries;
    return isConnectReply ? noFlowSqHead : 0;
  }
}

/** A reply from its command's end until it leaves, then the next one. */
class PooledReply implements Reply, Completion {
  commandId = 0;
  queueId = 0;
  sqHead = 0;
  statusWire = 0;
  result = 0;
  resultHigh = 0;
  hasCompletion = true;
  dataBytes = 0;
  buffer: IoBuffer | undefined;
  readonly #digests: Digests;
  readonly #owner: {
    readonly buffers: IoBufferPool;
    readonly free: (reply: PooledReply) => void;
  };

  constructor(
    digests: Digests,
    owner: { readonly buffers: IoBufferPool; readonly free: (reply: PooledReply) => void },
  ) {
    this.#digests = digests;
    this.#owner = owner;
  }

  get replyBytes(): number {
    const endBytes = this.hasCompletion ? completionBytes(this.#digests) : 0;
    if (this.dataBytes === 0) return endBytes;
    const ddgstBytes = this.#digests.hasDataDigest ? digestBytes : 0;
    return readHeadBytes(this.#digests) + this.dataBytes + ddgstBytes + endBytes;
  }

  tryEncode(batch: OutputBatch): boolean {
    const { replyBytes, dataBytes, buffer } = this;
    const isCopied = dataBytes <= nbdCopiedReplyBytesMax;
    if (!batch.hasRoom(isCopied ? replyBytes : replyBytes - dataBytes, 3)) return false;
    if (buffer) this.#writeData(batch, buffer, isCopied);
    if (this.hasCompletion) {
      const at = batch.reserve(completionBytes(this.#digests));
      writeCapsuleResp(batch.bytes, at, this, this.#digests);
    }
    this.buffer = undefined;
    this.#owner.free(this);
    return true;
  }

  drop(): void {
    if (this.buffer) this.#owner.buffers.release(this.buffer);
    this.buffer = undefined;
    this.#owner.free(this);
  }

  #writeData(batch: OutputBatch, buffer: IoBuffer, isCopied: boolean): void {
    const { commandId, dataBytes } = this;
    const digests = this.#digests;
    const head = { commandId, dataBytes, isSuccess: !this.hasCompletion };
    writeReadHead(batch.bytes, batch.reserve(readHeadBytes(digests)), head, digests);
    if (isCopied) buffer.bytes.copy(batch.bytes, batch.reserve(dataBytes), 0, dataBytes);
    else batch.addInPlace(buffer, 0, dataBytes);
    if (digests.hasDataDigest) {
      const at = batch.reserve(digestBytes);
      batch.bytes.writeUInt32LE(crc32c(buffer.view(dataBytes)), at);
    }
    batch.hold(buffer);
  }
}
