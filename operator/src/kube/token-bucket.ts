import type { Clock } from '@varve/common/clock';

/** How much may happen at once and how much per second after that. */
export interface TokenBucketOptions {
  readonly ratePerSecond: number;
  readonly burst: number;
}

/** Spreads things over time: the first `burst` at once, then `ratePerSecond`. */
export class TokenBucket {
  readonly #intervalMs: number;
  readonly #burstMs: number;
  readonly #clock: Clock;
  /** When the bucket will be full again; the bucket is `#fullAtMs - now` worth of tokens short of full. */
  #fullAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: TokenBucketOptions, dependencies: { readonly clock: Clock }) {
    this.#intervalMs = 1000 / options.ratePerSecond;
    this.#burstMs = options.burst * this.#intervalMs;
    this.#clock = dependencies.clock;
  }

  /** Takes one token and returns how long to wait before using it (0 for one that is there already). */
  reserve(): number {
    const nowMs = this.#clock.monotonicMs();
    this.#fullAtMs = Math.max(this.#fullAtMs, nowMs) + this.#intervalMs;
    return Math.max(0, this.#fullAtMs - nowMs - this.#burstMs);
  }

  /** Takes one token if it is there. */
  tryTake(): boolean {
    const nowMs = this.#clock.monotonicMs();
    const fullAtMs = Math.max(this.#fullAtMs, nowMs) + this.#intervalMs;
    if (fullAtMs - nowMs > this.#burstMs) return false;
    this.#fullAtMs = fullAtMs;
    return true;
  }
}
