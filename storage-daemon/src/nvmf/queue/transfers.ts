/**
 * Moves the data of commands (TCP Transport, section 3.3.2): room for it is taken before it is asked for, one R2T per
 * command is outstanding, and data is copied once, to where the volume takes it from.
 *
 * Commands that find no room wait in order. Data inside a capsule always finds some: it is small, and on its way.
 */
import { assert } from '@varve/common/assert';

import type { IoBuffer, IoBufferPool } from '../../nbd/io-buffer.ts';
import type { NvmeTally } from '../nvme-counters.ts';
import type { QueueBudget } from '../nvme-budget.ts';
import { badField, type PduShape, type PduTerms } from '../pdu/check-header.ts';
import { encodeR2t } from '../pdu/encode-pdu.ts';
import type { PduViolation } from '../pdu/pdu-violation.ts';
import { FatalError, PduFlag } from '../wire-constants.ts';
import type { CommandSlot } from './command-slot.ts';
import type { SlotTable } from './slot-table.ts';

/** What transfers work with. */
export interface TransfersParts {
  readonly terms: PduTerms;
  readonly slots: SlotTable;
  readonly budget: QueueBudget;
  readonly buffers: IoBufferPool;
  readonly tally: NvmeTally;
}

/** What transfers lead to. */
export interface TransfersActions {
  readonly send: (bytes: Buffer) => void;
  /** The command may run: its data has come, or there is room for what it reads. */
  readonly ready: (command: CommandSlot) => void;
}

/** The data transfers of one queue. */
export class Transfers {
  readonly #parts: TransfersParts;
  readonly #actions: TransfersActions;
  readonly #waiting: CommandSlot[] = [];
  #isHeld = false;
  #isAdmitting = false;
  /** Commands whose data was asked for and is not here yet, oldest first. */
  readonly #open = new Set<CommandSlot>();
  /** The command that the present H2CData belongs to. */
  #current: CommandSlot | undefined;
  /** Bytes are on their way into it, without a copy. */
  #direct: IoBuffer | undefined;
  /** That buffer, of a command that is over: free when they have come. */
  #abandoned: IoBuffer | undefined;

  constructor(parts: TransfersParts, actions: TransfersActions) {
    this.#parts = parts;
    this.#actions = actions;
  }

  /** The host has been asked for data that is not here yet. */
  get isOpen(): boolean {
    return this.#open.size > 0;
  }

  /** Changes when the oldest open transfer goes on or ends; to be looked at while one is open. */
  get progressMark(): number {
    const [oldest] = this.#open;
    return oldest ? oldest.transferTag * 2 ** 32 + oldest.receivedBytes : -1;
  }

  /** While held, no command is admitted. */
  setHeld(isHeld: boolean): void {
    this.#isHeld = isHeld;
    this.admitWaiting();
  }

  /** Makes room for the data in a capsule. */
  takeInCapsule(command: CommandSlot): Buffer {
    command.budgetBytes = command.sglBytes + command.scratchBytes;
    this.#parts.budget.take(command.budgetBytes);
    return this.#takeBuffer(command);
  }

  /** The data of the present H2CData comes straight into its place, until `directEnded`. */
  directBegan(): void {
    this.#direct = this.#current?.buffer;
  }

  /** Nothing is on its way into that place any more. */
  directEnded(): void {
    this.#direct = undefined;
    if (this.#abandoned) this.#parts.buffers.release(this.#abandoned);
    this.#abandoned = undefined;
  }

  /** Runs a command, or asks for its data, as soon as there is room. */
  admit(command: CommandSlot): void {
    command.state = 'waiting';
    this.#waiting.push(command);
    this.admitWaiting();
    if (this.#waiting.at(-1) === command) this.#parts.tally.heldCommands++;
  }

  /** There may be room again. */
  admitWaiting(): void {
    if (this.#isAdmitting) return;
    this.#isAdmitting = true;
    while (!this.#isHeld && this.#waiting.length > 0) {
      const command = this.#waiting[0]!;
      const neededBytes = command.sglBytes + command.scratchBytes;
      if (neededBytes > 0) {
        if (!this.#parts.budget.tryTake(neededBytes)) break;
        command.budgetBytes = neededBytes;
      }
      this.#waiting.shift();
      if (command.hasHostData) this.#begin(command);
      else this.#actions.ready(command);
    }
    this.#isAdmitting = false;
  }

  /** Judges an H2CData; returns where its data goes. */
  takeHeader(shape: PduShape, header: Buffer): Buffer | PduViolation {
    const command = this.#parts.slots.findTransfer(header.readUInt16LE(10));
    if (!command) return sequenceError(10, 'H2CData for a transfer that is not open');
    if (header.readUInt16LE(8) !== command.commandId) {
      return badField(8, 'H2CData for another command than its transfer');
    }
    const offsetBytes = header.readUInt32LE(12);
    const lengthBytes = header.readUInt32LE(16);
    if (lengthBytes === 0 || lengthBytes !== shape.dataBytes) {
      return badField(16, `DATAL ${lengthBytes} with ${shape.dataBytes} bytes of data`);
    }
    if (offsetBytes !== command.receivedBytes) {
      const message = `DATAO ${offsetBytes} instead of ${command.receivedBytes}`;
      return { fatalError: FatalError.DATA_OUT_OF_RANGE, information: 0, message };
    }
    const endBytes = offsetBytes + lengthBytes;
    if (endBytes > command.requestedBytes) {
      const message = `data up to ${endBytes} where ${command.requestedBytes} were asked for`;
      return { fatalError: FatalError.DATA_LIMIT_EXCEEDED, information: 0, message };
    }
    if ((shape.flags & PduFlag.LAST) !== 0 && endBytes < command.requestedBytes) {
      return sequenceError(0, 'LAST_PDU before the last byte');
    }
    this.#current = command;
    return command.data!.subarray(offsetBytes, endBytes);
  }

  /** An H2CData is complete; returns the command if it has failed for good. */
  dataArrived(lengthBytes: number, isDataGood: boolean): CommandSlot | undefined {
    const command = this.#current;
    assert(command !== undefined, 'data that was not announced');
    this.#current = undefined;
    command.receivedBytes += lengthBytes;
    if (!isDataGood) command.isDataBad = true;
    if (command.receivedBytes < command.requestedBytes) return undefined;
    this.#open.delete(command);
    if (command.receivedBytes < command.sglBytes) this.#request(command);
    else if (command.isDataBad) return command;
    else this.#actions.ready(command);
    return undefined;
  }

  /** A command is over: its room and its buffer are free. */
  giveBack(command: CommandSlot): void {
    if (command.budgetBytes > 0) this.#parts.budget.give(command.budgetBytes);
    command.budgetBytes = 0;
    const { buffer } = command;
    command.data = undefined;
    command.buffer = undefined;
    if (!buffer) return;
    // The kernel may still write into it.
    if (buffer === this.#direct) this.#abandoned = buffer;
    else this.#parts.buffers.release(buffer);
  }

  /** The connection is gone: nothing comes any more. */
  clear(): void {
    this.#waiting.length = 0;
    this.#open.clear();
    this.#current = undefined;
  }

  #takeBuffer(command: CommandSlot): Buffer {
    command.buffer = this.#parts.buffers.acquire(command.sglBytes);
    command.data = command.buffer.view(command.sglBytes);
    return command.data;
  }

  #begin(command: CommandSlot): void {
    command.state = 'receiving';
    this.#takeBuffer(command);
    this.#request(command);
  }

  #request(command: CommandSlot): void {
    const { terms } = this.#parts;
    const offsetBytes = command.receivedBytes;
    const lengthBytes = Math.min(command.sglBytes - offsetBytes, terms.h2cDataBytesMax);
    command.requestedBytes = offsetBytes + lengthBytes;
    this.#open.add(command);
    this.#parts.tally.dataRequests++;
    const { commandId, transferTag } = command;
    const r2t = encodeR2t(
      { commandId, transferTag, offsetBytes, lengthBytes },
      terms.hasHeaderDigest,
    );
    this.#actions.send(r2t);
  }
}

function sequenceError(information: number, message: string): PduViolation {
  return { fatalError: FatalError.SEQUENCE_ERROR, information, message };
}
