/** What a queue sends for commands: completions, with data in front of them where there is some. */
import { assert } from '@varve/common/assert';

import type { CommandReply } from '../controller/command-reply.ts';
import { encodeStatus, NvmeStatus } from '../nvme-status.ts';
import {
  type Completion,
  type Digests,
  encodeCapsuleResp,
  encodeReadReply,
  readHeadroomBytes,
  readTailroomBytes,
} from '../pdu/encode-pdu.ts';
import type { CommandSlot } from './command-slot.ts';

/** What Connect has settled. */
export interface QueueTerms {
  readonly queueId: number;
  /** SQSIZE + 1. */
  readonly entries: number;
  readonly hasNoSqFlow: boolean;
}

/** SQHD in the answer to a Connect that turned flow control off (Fabrics, section 3.3). */
const noFlowSqHead = 0xffff;

/** The replies of one queue. */
export class Replies {
  readonly #digests: Digests;
  readonly #send: (bytes: Buffer) => void;
  #terms: QueueTerms = { queueId: 0, entries: 1, hasNoSqFlow: false };
  #isConnectReply = false;
  #fetchedCount = 0;

  constructor(digests: Digests, send: (bytes: Buffer) => void) {
    this.#digests = digests;
    this.#send = send;
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
  send(command: CommandSlot, reply: CommandReply): void {
    const { data } = reply;
    if (!data || reply.status !== NvmeStatus.SUCCESS) {
      const completion = this.#completion(command, reply);
      this.#send(encodeCapsuleResp(completion, this.#digests.hasHeaderDigest));
      return;
    }
    assert(data.length === command.sglBytes, `${data.length} bytes for ${command.sglBytes}`);
    const buffer = Buffer.allocUnsafe(readHeadroomBytes + data.length + readTailroomBytes);
    buffer.set(data, readHeadroomBytes);
    this.sendRead(command, buffer, reply);
  }

  /** Answers with data that has room around it. */
  sendRead(
    command: CommandSlot,
    buffer: Buffer,
    reply: CommandReply = { status: NvmeStatus.SUCCESS },
  ): void {
    const isImplied =
      this.#terms.hasNoSqFlow && (reply.result ?? 0) === 0 && (reply.resultHigh ?? 0) === 0;
    const completion = isImplied ? undefined : this.#completion(command, reply);
    this.#send(encodeReadReply(buffer, command.commandId, this.#digests, completion));
  }

  #completion(command: CommandSlot, reply: CommandReply): Completion {
    const { queueId } = this.#terms;
    return {
      commandId: command.commandId,
      queueId,
      sqHead: this.#sqHead(),
      statusWire: encodeStatus(reply.status),
      result: reply.result ?? 0,
      resultHigh: reply.resultHigh ?? 0,
    };
  }

  #sqHead(): number {
    const { entries, hasNoSqFlow } = this.#terms;
    const isConnectReply = this.#isConnectReply;
    this.#isConnectReply = false;
    if (!hasNoSqFlow) return this.#fetchedCount % entries;
    return isConnectReply ? noFlowSqHead : 0;
  }
}
