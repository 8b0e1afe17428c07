/**
 * Drives a ring inside of Node's event loop, so that promises, timers and messages of the thread live on.
 *
 * A turn hands prepared operations to the kernel, waits a short while for the first completion, and runs handlers;
 * what they prepare goes out in the same turn, a few rounds long. While a turn brings something, the next one follows
 * by `setImmediate`. A turn without any completion ends that: the thread then sleeps in libuv, which watches the
 * ring's event descriptor beside its sockets and timers, so an idle reactor makes no turns at all.
 *
 * The ring's own descriptor cannot be watched: with deferred task work, current kernels do not report completions
 * there until the thread asks for them.
 */
import { EventWatch } from './event-watch.ts';
import type { Ring } from './ring.ts';

/** How a loop waits. */
export interface RingLoopOptions {
  /**
   * How long a turn blocks for a completion; messages and timers of the thread wait no longer than this. About what
   * a fast device takes for one block: waiting in the ring is then cheaper than a way through libuv.
   */
  readonly waitMicroseconds: number;
}

/**
 * Rounds of one turn: a reply leaves, and what it makes room for is submitted, without a way through libuv. More
 * would keep promises waiting.
 */
const turnRoundsMax = 4;

/** The loop of one ring. */
export class RingLoop {
  readonly #ring: Ring;
  readonly #waitMicroseconds: number;
  readonly #watch: EventWatch;
  readonly #roundHooks: (() => void)[] = [];
  readonly #turn = (): void => this.#runTurn();
  #isScheduled = false;
  #isRunning = false;
  #isReferenced = false;
  #isClosed = false;
  #turnCount = 0;

  /** @throws RingRefusedError */
  constructor(ring: Ring, { waitMicroseconds }: RingLoopOptions) {
    this.#ring = ring;
    this.#waitMicroseconds = waitMicroseconds;
    this.#watch = new EventWatch(ring.fd, () => this.#schedule());
    ring.setEvents(false);
    ring.setQueuedListener(() => this.#schedule());
  }

  /** Turns made so far: stands still while nothing happens. */
  get turnCount(): number {
    return this.#turnCount;
  }

  /**
   * Runs `hook` after the handlers of each round, before what they prepared goes to the kernel: where connections
   * send the replies of a round together.
   */
  addRoundHook(hook: () => void): void {
    this.#roundHooks.push(hook);
  }

  /** Cancels what is under way, waits for its end, and closes the ring. May be called twice. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#watch.close();
    this.#ring.close();
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isRunning || this.#isClosed) return;
    this.#isScheduled = true;
    setImmediate(this.#turn);
  }

  #runTurn(): void {
    this.#isScheduled = false;
    if (this.#isClosed) return;
    this.#isRunning = true;
    this.#turnCount++;
    const ring = this.#ring;
    ring.setEvents(false);
    let reapedCount = 0;
    try {
      ring.submit(this.#waitMicroseconds);
      for (let round = 1; ; round++) {
        reapedCount += ring.reap();
        for (const hook of this.#roundHooks) hook();
        if (round === turnRoundsMax || ring.queuedCount === 0) break;
        ring.submit();
      }
    } finally {
      this.#isRunning = false;
    }
    this.#setReferenced(ring.inFlightCount > 0);
    if (ring.queuedCount > 0) this.#schedule();
    else if (ring.inFlightCount > 0) {
      // As long as completions come, one more turn waits for others.
      if (reapedCount > 0 || !this.#trySleep()) this.#schedule();
    }
  }

  /** False if something completed meanwhile, which no event may tell of any more. */
  #trySleep(): boolean {
    this.#ring.setEvents(true);
    if (this.#ring.submit() === 0) return true;
    this.#ring.setEvents(false);
    return false;
  }

  #setReferenced(isReferenced: boolean): void {
    if (isReferenced === this.#isReferenced) return;
    this.#isReferenced = isReferenced;
    // Operations keep the thread alive, like Node's own; an idle loop does not.
    this.#watch.setReferenced(isReferenced);
  }
}
