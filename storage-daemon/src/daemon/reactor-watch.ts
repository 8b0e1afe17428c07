/**
 * Asks the reactor a trivial question every few seconds: its answer time is a metric, pools that turned
 * read-only are noticed even if nobody looks, and a reactor that does not answer is reported. It is not
 * ended for that: it may be in a long, honest computation.
 */
import { type Clock, waitFor } from '@varve/common/clock';
import type { Logger } from '@varve/common/logger';
import { isProblemError } from '@varve/contract/problem';

import type { ReactorCalls } from '../reactor/channel.ts';
import type { DaemonMetrics } from './daemon-metrics.ts';

const intervalMs = 5000;
/** Longer than any pause that a healthy reactor makes. */
const silenceMs = 10_000;

/** What the watch works with. */
export interface ReactorWatchDependencies {
  readonly channel: ReactorCalls;
  /** Its number. */
  readonly reactor?: number;
  readonly metrics: DaemonMetrics;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The watch over one reactor. */
export class ReactorWatch {
  readonly #dependencies: ReactorWatchDependencies;
  readonly #stop = new AbortController();

  constructor(dependencies: ReactorWatchDependencies) {
    this.#dependencies = dependencies;
  }

  start(): void {
    void this.#run();
  }

  /** Ends it; a question under way is left alone. */
  stop(): void {
    this.#stop.abort();
  }

  async #run(): Promise<void> {
    const { clock } = this.#dependencies;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await this.#ask();
      await waitFor(clock, intervalMs, signal);
    }
  }

  async #ask(): Promise<void> {
    const { channel, reactor = 0, metrics, clock, logger } = this.#dependencies;
    const startMs = clock.monotonicMs();
    const alarm = clock.setTimer(() => {
      const { pendingCount: pendingCalls } = channel;
      logger.error({ reactor, pendingCalls }, 'the reactor does not answer');
    }, silenceMs);
    try {
      await channel.call('readCounters', undefined);
      metrics.observeReactorAnswer((clock.monotonicMs() - startMs) / 1000);
    } catch (error) {
      // Too many calls at once, or the reactor has ended, which the daemon handles elsewhere.
      if (!isProblemError(error)) throw error;
    } finally {
      alarm.cancel();
    }
  }
}
