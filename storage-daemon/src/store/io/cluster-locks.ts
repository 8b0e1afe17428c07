/**
 * Locks of one head's clusters, from the decision how to change an entry until the change is applied. Writes in place
 * take none, and wait only for locks that are held against them too: data that is being copied must not change. A
 * piece of work never holds one lock while it waits for another, so there is no order to keep.
 */
import { assert } from '@varve/common/assert';

/** Called when the lock may be tried again. */
type Wakeup = () => void;

/** Which clusters are locked, and who waits. */
export class ClusterLocks {
  readonly #waiting = new Map<number, Wakeup[]>();

  readonly #held = new Set<number>();

  /** True while any cluster is held against writes in place. */
  get hasHeld(): boolean {
    return this.#held.size > 0;
  }

  /** True while nobody may write to the cluster, not even in place. */
  isHeld(cluster: number): boolean {
    return this.#held.size > 0 && this.#held.has(cluster);
  }

  isLocked(cluster: number): boolean {
    return this.#waiting.has(cluster);
  }

  lock(cluster: number): void {
    assert(!this.isLocked(cluster), `cluster ${cluster} is locked already`);
    this.#waiting.set(cluster, []);
  }

  /** Locks a cluster against writes in place as well. */
  hold(cluster: number): void {
    this.lock(cluster);
    this.#held.add(cluster);
  }

  /** Runs `wakeup` when the cluster is unlocked; it has to look again. */
  wait(cluster: number, wakeup: Wakeup): void {
    const waiting = this.#waiting.get(cluster);
    assert(waiting !== undefined, `cluster ${cluster} is not locked`);
    waiting.push(wakeup);
  }

  unlock(cluster: number): void {
    const waiting = this.#waiting.get(cluster);
    assert(waiting !== undefined, `cluster ${cluster} is not locked`);
    this.#waiting.delete(cluster);
    this.#held.delete(cluster);
    for (const wakeup of waiting) wakeup();
  }
}
