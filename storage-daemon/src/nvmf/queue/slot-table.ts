/** The commands of one queue: bounded by the size that its Connect gave, found by slot, never by command id. */
import { assert } from '@varve/common/assert';

import { CommandSlot } from './command-slot.ts';

/** Slots of the largest queue, event requests included: an index fits the low byte of a transfer tag. */
const slotsMax = 256;

/** Slots, made when they are first needed. */
export class SlotTable {
  readonly #slots: CommandSlot[] = [];
  readonly #free: CommandSlot[] = [];
  /** Until Connect says more: a host that hurries gets a status, not the end of its connection. */
  #limit = 8;

  /** Commands that are under way, whatever they wait for. */
  get usedCount(): number {
    return this.#slots.length - this.#free.length;
  }

  /** Sets how many commands may be under way. */
  setLimit(limit: number): void {
    assert(limit > 0 && limit <= slotsMax, `${limit} commands`);
    this.#limit = limit;
  }

  /** A free slot; undefined if the host has more under way than it may. */
  tryTake(): CommandSlot | undefined {
    const slot = this.#free.pop();
    if (slot) return slot;
    if (this.#slots.length >= this.#limit) return undefined;
    const added = new CommandSlot(this.#slots.length);
    this.#slots.push(added);
    return added;
  }

  /** Gives a slot back. */
  release(slot: CommandSlot): void {
    assert(slot.state !== 'free', 'a slot is released twice');
    this.#free.push(slot);
    slot.release();
  }

  /** The slot whose transfer a tag names, if that transfer is open. */
  findTransfer(transferTag: number): CommandSlot | undefined {
    const slot = this.#slots[transferTag & 0xff];
    if (slot?.state !== 'receiving' || slot.transferTag !== transferTag) return undefined;
    return slot.requestedBytes > slot.receivedBytes ? slot : undefined;
  }

  /** All commands that are under way. */
  *used(): Iterable<CommandSlot> {
    for (const slot of this.#slots) if (slot.state !== 'free') yield slot;
  }
}
