/**
 * The requests of a device in parallel arrays: a row for each, linked into queues by row numbers. Rows are reused,
 * so a request allocates nothing. The table doubles when all rows are taken: callers are bounded, each request is
 * backed by its caller's buffer.
 */
import { assert } from '@varve/common/assert';

import type { DeviceCompletion } from './block-device.ts';

/** No row. */
export const noRow = -1;

const rowsAtStart = 256;
/**
 * A row is a request of a block at least, whose bytes wait in a buffer: 4 GiB of them, far beyond what clients,
 * checkpoints and background work may have under way together. Whoever passes that has no bound of its own.
 */
const deviceRequestsMax = 2 ** 20;

/** What a row is for. */
export const requestKind = { read: 0, write: 1, durableWrite: 2, flush: 3 } as const;

/** Rows of requests. The columns are replaced when the table grows: never keep one. */
export class RequestTable {
  kind = new Uint8Array(0);
  offsetBytes = new Float64Array(0);
  lengthBytes = new Float64Array(0);
  /** Bytes moved so far. */
  doneBytes = new Float64Array(0);
  /** Where the caller's own bytes lie for the kernel; 0 if they have to be copied. */
  address = new Float64Array(0);
  /** Slots of a pool that the bytes are copied through: its number and the slot, or `noRow`. */
  bouncePool = new Int32Array(0);
  bounceSlot = new Int32Array(0);
  /** The row behind this one in its queue. */
  next = new Int32Array(0);
  readonly buffers: (Uint8Array | undefined)[] = [];
  readonly completions: (DeviceCompletion | undefined)[] = [];
  #firstFree = noRow;

  constructor() {
    this.#grow(rowsAtStart);
  }

  /** A row that is the caller's until `release`. */
  acquire(kind: number, done: DeviceCompletion): number {
    if (this.#firstFree === noRow) {
      assert(this.kind.length < deviceRequestsMax, 'more requests than clients have buffers for');
      this.#grow(this.kind.length * 2);
    }
    const row = this.#firstFree;
    this.#firstFree = this.next[row]!;
    this.kind[row] = kind;
    this.doneBytes[row] = 0;
    this.bounceSlot[row] = noRow;
    this.next[row] = noRow;
    this.completions[row] = done;
    return row;
  }

  /** Gives a row back; answers whom to tell. */
  release(row: number): DeviceCompletion {
    const done = this.completions[row];
    assert(done !== undefined, 'a row is given back once');
    this.completions[row] = undefined;
    this.buffers[row] = undefined;
    this.next[row] = this.#firstFree;
    this.#firstFree = row;
    return done;
  }

  #grow(rowCount: number): void {
    const first = this.kind.length;
    this.kind = grown(this.kind, new Uint8Array(rowCount));
    this.offsetBytes = grown(this.offsetBytes, new Float64Array(rowCount));
    this.lengthBytes = grown(this.lengthBytes, new Float64Array(rowCount));
    this.doneBytes = grown(this.doneBytes, new Float64Array(rowCount));
    this.address = grown(this.address, new Float64Array(rowCount));
    this.bouncePool = grown(this.bouncePool, new Int32Array(rowCount));
    this.bounceSlot = grown(this.bounceSlot, new Int32Array(rowCount));
    this.next = grown(this.next, new Int32Array(rowCount));
    for (let row = rowCount - 1; row >= first; row--) {
      this.buffers[row] = undefined;
      this.completions[row] = undefined;
      this.next[row] = this.#firstFree;
      this.#firstFree = row;
    }
  }
}

/** Rows that wait, first in, first out. A row is in one queue at most. */
export class RowQueue {
  readonly #table: RequestTable;
  #first = noRow;
  #last = noRow;

  constructor(table: RequestTable) {
    this.#table = table;
  }

  /** The row that waits longest, or `noRow`. */
  get first(): number {
    return this.#first;
  }

  push(row: number): void {
    this.#table.next[row] = noRow;
    if (this.#last === noRow) this.#first = row;
    else this.#table.next[this.#last] = row;
    this.#last = row;
  }

  /** Takes the row that waits longest; `noRow` if none does. */
  shift(): number {
    const row = this.#first;
    if (row === noRow) return row;
    this.#first = this.#table.next[row]!;
    if (this.#first === noRow) this.#last = noRow;
    return row;
  }

  /** Moves all rows to the end of another queue. */
  moveTo(other: RowQueue): void {
    for (let row = this.shift(); row !== noRow; row = this.shift()) other.push(row);
  }
}

function grown<Column extends Uint8Array | Int32Array | Float64Array>(
  old: Column,
  larger: Column,
): Column {
  larger.set(old);
  return larger;
}
