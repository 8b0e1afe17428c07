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

/** A claim in the list, in order of arrival. */
interface Entry extends RangeClaim {
  isGranted: boolean;
  previous: Entry | undefined;
  next: Entry | undefined;
}

/** Ends a claim. */
export type ReleaseClaim = () => void;

/** The claims on one volume. */
export class RangeClaims {
  #last: Entry | undefined;
  #exclusiveCount = 0;
  #waitingCount = 0;

  /** Queues a claim; the returned function ends it, after it was granted. */
  acquire(claim: RangeClaim): ReleaseClaim {
    // Field by field: this is on the path of every write, and a spread costs several times as much.
    const entry: Entry = {
      startLbn: claim.startLbn,
      endLbn: claim.endLbn,
      isExclusive: claim.isExclusive,
      granted: claim.granted,
      isGranted: false,
      previous: this.#last,
      next: undefined,
    };
    if (this.#last) this.#last.next = entry;
    this.#last = entry;
    const mayMeetOthers = entry.isExclusive || this.#exclusiveCount > 0;
    if (entry.isExclusive) this.#exclusiveCount++;
    if (mayMeetOthers && this.#mustWait(entry)) this.#waitingCount++;
    else {
      entry.isGranted = true;
      entry.granted();
    }
    return () => this.#release(entry);
  }

  #release(entry: Entry): void {
    assert(entry.isGranted, 'a claim was released before it was granted');
    entry.isGranted = false;
    if (entry.previous) entry.previous.next = entry.next;
    if (entry.next) entry.next.previous = entry.previous;
    else this.#last = entry.previous;
    if (entry.isExclusive) this.#exclusiveCount--;
    if (this.#waitingCount > 0) this.#grantAfter(entry);
  }

  /** Only claims that overlap the released one can have waited for it. */
  #grantAfter(released: Entry): void {
    const ready: Entry[] = [];
    for (let entry = released.next; entry; entry = entry.next) {
      if (!entry.isGranted && overlaps(entry, released) && !this.#mustWait(entry)) {
        entry.isGranted = true;
        ready.push(entry);
      }
    }
    this.#waitingCount -= ready.length;
    for (const entry of ready) entry.granted();
  }

  #mustWait(entry: Entry): boolean {
    for (let other = entry.previous; other; other = other.previous) {
      if ((entry.isExclusive || other.isExclusive) && overlaps(entry, other)) return true;
    }
    return false;
  }
}

function overlaps(a: RangeClaim, b: RangeClaim): boolean {
  return a.startLbn < b.endLbn && b.startLbn < a.endLbn;
}
