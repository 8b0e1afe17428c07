/**
 * Order among changes that overlap. A change of whole blocks may run beside others: the store and the
 * client's own protocol allow any order. A change of part of a block reads the block, merges and writes it
 * back; whatever else changes the block in between would be lost. So a claim is shared or exclusive, and
 *
 * - an exclusive claim waits for every earlier claim that overlaps it,
 * - a shared claim waits for earlier exclusive claims that overlap it,
 * - nobody overtakes: a claim also waits for earlier ones that still wait themselves.
 *
 * Earlier means asked for earlier, so there is always a first one, and no cycle. The number of claims is
 * bounded by the requests that a volume's connections may have in flight.
 */
import { assert } from '@varve/common/assert';

/** Blocks [startLbn, endLbn) and what to do once they may be changed. */
export interface RangeClaim {
  readonly startLbn: number;
  readonly endLbn: number;
  readonly isExclusive: boolean;
  /** Called once, possibly before `acquire` returns. */
  readonly granted: () => void;
}

/** A claim in the list, in order of arrival. It can be used again after `leave`. */
export class ClaimEntry {
  startLbn = 0;
  endLbn = 0;
  isExclusive = false;
  readonly granted: () => void;
  isGranted = false;
  previous: ClaimEntry | undefined = undefined;
  next: ClaimEntry | undefined = undefined;

  constructor(granted: () => void) {
    this.granted = granted;
  }
}

/** Ends a claim. */
export type ReleaseClaim = () => void;

/** The claims on one volume. */
export class RangeClaims {
  #last: ClaimEntry | undefined;
  #exclusiveCount = 0;
  #waitingCount = 0;

  /** Queues a claim; the returned function ends it, after it was granted. */
  acquire(claim: RangeClaim): ReleaseClaim {
    const entry = new ClaimEntry(claim.granted);
    entry.startLbn = claim.startLbn;
    entry.endLbn = claim.endLbn;
    entry.isExclusive = claim.isExclusive;
    this.enter(entry);
    return () => this.leave(entry);
  }

  /** Queues a claim that the caller keeps, so that nothing is allocated for it. */
  enter(entry: ClaimEntry): void {
    entry.previous = this.#last;
    entry.next = undefined;
    if (this.#last) this.#last.next = entry;
    this.#last = entry;
    const mayMeetOthers = entry.isExclusive || this.#exclusiveCount > 0;
    if (entry.isExclusive) this.#exclusiveCount++;
    if (mayMeetOthers && this.#mustWait(entry)) this.#waitingCount++;
    else {
      entry.isGranted = true;
      entry.granted();
    }
  }

  /** Ends a claim that was granted. */
  leave(entry: ClaimEntry): void {
    assert(entry.isGranted, 'a claim was released before it was granted');
    entry.isGranted = false;
    if (entry.previous) entry.previous.next = entry.next;
    if (entry.next) entry.next.previous = entry.previous;
    else this.#last = entry.previous;
    if (entry.isExclusive) this.#exclusiveCount--;
    if (this.#waitingCount > 0) this.#grantAfter(entry);
    entry.previous = undefined;
    entry.next = undefined;
  }

  /** Only claims that overlap the released one can have waited for it. */
  #grantAfter(released: ClaimEntry): void {
    const ready: ClaimEntry[] = [];
    for (let entry = released.next; entry; entry = entry.next) {
      if (!entry.isGranted && overlaps(entry, released) && !this.#mustWait(entry)) {
        entry.isGranted = true;
        ready.push(entry);
      }
    }
    this.#waitingCount -= ready.length;
    for (const entry of ready) entry.granted();
  }

  #mustWait(entry: ClaimEntry): boolean {
    for (let other = entry.previous; other; other = other.previous) {
      if ((entry.isExclusive || other.isExclusive) && overlaps(entry, other)) return true;
    }
    return false;
  }
}

function overlaps(a: ClaimEntry, b: ClaimEntry): boolean {
  return a.startLbn < b.endLbn && b.startLbn < a.endLbn;
}
