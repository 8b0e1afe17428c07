/**
 * One connection of the fuzzer: keeps what a host would remember, so that most of what it sends is nearly right, and
 * checks what the target sends as strictly as a host does.
 */
import { crc32c } from '@node-rs/crc32';
import { assert } from '@varve/common/assert';

import type { NvmeTarget } from '../../nvmf/nvme-target.ts';
import {
  type HostCommand,
  encodeCapsule,
  encodeH2cData,
  encodeIcReq,
} from '../nvme-initiator/host-pdu.ts';
import { ScriptedQueue } from '../nvme/scripted-target.ts';
import type { SeededRandom } from '../seeded-random.ts';
import {
  adminCommand,
  anyNumber,
  authenticationCommand,
  fuzzConnect,
  ioCommand,
  setUpCommand,
  setUpStepsMax,
} from './fuzz-commands.ts';

interface OpenTransfer {
  readonly commandId: number;
  readonly transferTag: number;
  nextBytes: number;
  readonly endBytes: number;
}

/** A connection. */
export class FuzzConnection {
  readonly host: ScriptedQueue;
  /** PDUs that it has sent, whole or broken. */
  pduCount = 0;
  readonly #random: SeededRandom;
  readonly #target: NvmeTarget;
  readonly #digests: { readonly header: boolean; readonly data: boolean };
  readonly #transfers: OpenTransfer[] = [];
  /** Commands of each id that have no completion yet. */
  readonly #pending = new Map<number, number>();
  #pendingCount = 0;
  /** Of the last Connect. */
  #queueId = 0;
  #entries = 2;
  #setUpSteps = 0;
  #hasGreeted = false;
  #isInitialized = false;
  #isCut = false;
  #isTwisted = false;

  constructor(target: NvmeTarget, random: SeededRandom) {
    this.#random = random;
    this.#target = target;
    const h2cDataBytesMax = random.pick([4096, 8192, 1024 * 1024]);
    this.host = new ScriptedQueue(target, { h2cDataBytesMax });
    this.#digests = { header: random.chance(0.3), data: random.chance(0.3) };
  }

  /** Neither side will say more. */
  get isOver(): boolean {
    return this.#isCut || !this.host.queue.isOpen;
  }

  /** The host goes away. */
  cut(): void {
    this.#isCut = true;
    this.host.queue.connectionLost();
  }

  /** Sends some PDUs, cut or joined anywhere, and takes what comes back. */
  act(): void {
    const count = this.#random.pick([1, 1, 1, 2, 3, 8]);
    const pdus: Buffer[] = [];
    for (let index = 0; index < count; index++) {
      const next = this.#next();
      if (next) pdus.push(this.#break(next));
    }
    this.pduCount += pdus.length;
    let bytes = Buffer.concat(pdus);
    while (bytes.length > 0) {
      const cut = this.#random.chance(0.9)
        ? bytes.length
        : Math.min(bytes.length, this.#random.between(1, 100));
      this.host.queue.receive(Buffer.from(bytes.subarray(0, cut)));
      bytes = bytes.subarray(cut);
    }
    this.read();
  }

  /** Takes what the target has sent. */
  read(): void {
    for (const { type, header, flags } of this.host.take()) {
      assert(this.#isInitialized || type === 1 || type === 3, `PDU ${type} before ICResp`);
      if (type === 1) this.#isInitialized = true;
      if (type === 9) this.#addTransfer(header);
      if (type === 5) this.#complete(header.readUInt16LE(20));
      if (type === 7) {
        const isKnown = this.#isTwisted || this.#pending.has(header.readUInt16LE(8));
        assert(isKnown, 'data for a command that was not sent');
        if ((flags & 8) !== 0) this.#complete(header.readUInt16LE(8));
      }
    }
    assert(this.host.reader.restBytes === 0, 'part of a PDU was sent');
  }

  /** Undefined while the queue is full, for most hosts. */
  #next(): Buffer | undefined {
    if (!this.#hasGreeted || this.#random.chance(0.0005)) {
      this.#hasGreeted = true;
      return encodeIcReq(this.#digests);
    }
    if (this.#transfers.length > 0 && this.#random.chance(0.6)) return this.#nextData();
    if (this.#pendingCount >= this.#entries - 1 && this.#random.chance(0.998)) return undefined;
    const command = this.#nextCommand();
    this.#pendingCount++;
    this.#pending.set(command.commandId, (this.#pending.get(command.commandId) ?? 0) + 1);
    return encodeCapsule(this.#twist(command), this.#digests);
  }

  #nextCommand(): HostCommand {
    const random = this.#random;
    const commandId = random.chance(0.95) ? random.below(0x1_0000) : random.below(4);
    const { controller } = this.host.queue;
    if (!controller) {
      const ids = [...this.#target.controllers].map(({ identity }) => identity.controllerId);
      const connect = fuzzConnect(random, commandId, ids);
      this.#queueId = (connect.dword10 ?? 0) >>> 16;
      this.#entries = ((connect.dword11 ?? 0) & 0xffff) + 1;
      return connect;
    }
    const isIo = this.#queueId > 0;
    // Most hosts bring their controller up before they go on.
    if (!isIo && this.#setUpSteps < setUpStepsMax && random.chance(0.9)) {
      return setUpCommand(commandId, this.#setUpSteps++);
    }
    const kind = random.weighted({
      setUp: isIo ? 0.5 : 5,
      io: isIo ? 95 : 3,
      admin: isIo ? 3 : 80,
      connect: 0.5,
      authentication: 3,
    });
    if (kind === 'setUp') return setUpCommand(commandId, random.below(setUpStepsMax));
    if (kind === 'connect') return fuzzConnect(random, commandId, []);
    if (kind === 'authentication') return authenticationCommand(random, commandId);
    return kind === 'io' ? ioCommand(random, commandId) : adminCommand(random, commandId);
  }

  /** Fields of the command's form that are wrong. */
  #twist(command: HostCommand): HostCommand {
    const random = this.#random;
    if (random.chance(0.98)) return command;
    return {
      ...command,
      ...(random.chance(0.3) && { flags: random.below(256) }),
      ...(random.chance(0.3) && { sglType: random.pick([0x01, 0x5a, 0x00, 0x10, 0xff]) }),
      ...(random.chance(0.3) && { sglAddress: anyNumber(random) }),
      ...(random.chance(0.3) && { sglBytes: anyNumber(random) }),
    };
  }

  #nextData(): Buffer {
    const random = this.#random;
    const index = random.below(this.#transfers.length);
    const transfer = this.#transfers[index]!;
    const restBytes = transfer.endBytes - transfer.nextBytes;
    const lengthBytes = random.chance(0.6) ? restBytes : Math.min(restBytes, 4096);
    const isLast = lengthBytes === restBytes;
    const fields = {
      commandId: transfer.commandId,
      transferTag: transfer.transferTag,
      offsetBytes: transfer.nextBytes,
      data: Buffer.alloc(lengthBytes, 0x5a),
      isLast,
    };
    transfer.nextBytes += lengthBytes;
    if (isLast) this.#transfers.splice(index, 1);
    if (random.chance(0.985)) return encodeH2cData(fields, this.#digests);
    const wrong = random.pick(['commandId', 'transferTag', 'offsetBytes'] as const);
    const limit = wrong === 'offsetBytes' ? 2 ** 32 : 2 ** 16;
    return encodeH2cData({ ...fields, [wrong]: random.below(limit) }, this.#digests);
  }

  /** Now and then a byte is another one; sometimes the header's digest is made to fit. */
  #break(pdu: Buffer): Buffer {
    const random = this.#random;
    if (random.chance(0.99)) return pdu;
    const headerBytes = Math.min(pdu[2]!, pdu.length);
    const at = random.chance(0.8) ? random.below(headerBytes) : random.below(pdu.length);
    pdu[at] = random.below(256);
    if (at < headerBytes && pdu.length >= headerBytes + 4 && random.chance(0.7)) {
      const isDigested = this.#digests.header && pdu[0] !== 0;
      if (isDigested) pdu.writeUInt32LE(crc32c(pdu.subarray(0, headerBytes)), headerBytes);
    }
    // What is sent from here on may mean any command.
    this.#isTwisted = true;
    return random.chance(0.1) ? pdu.subarray(0, random.below(pdu.length)) : pdu;
  }

  #addTransfer(header: Buffer): void {
    const nextBytes = header.readUInt32LE(12);
    const lengthBytes = header.readUInt32LE(16);
    assert(lengthBytes > 0, 'an R2T for nothing');
    this.#transfers.push({
      commandId: header.readUInt16LE(8),
      transferTag: header.readUInt16LE(10),
      nextBytes,
      endBytes: nextBytes + lengthBytes,
    });
  }

  #complete(commandId: number): void {
    this.#pendingCount = Math.max(0, this.#pendingCount - 1);
    const count = this.#pending.get(commandId) ?? 0;
    assert(
      count > 0 || this.#isTwisted,
      `a completion of command ${commandId}, which was not sent`,
    );
    if (count > 1) this.#pending.set(commandId, count - 1);
    else this.#pending.delete(commandId);
  }
}
