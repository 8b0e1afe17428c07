import { Counter, Histogram, type Registry } from 'prom-client';

/** From a call that finds what it wants in memory to one that runs into its time limit. */
const latencyBuckets = [0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Metrics of the calls to storage daemons. */
export class DaemonMetrics {
  readonly #calls: Counter;
  readonly #seconds: Histogram;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#calls = new Counter({
      name: 'varve_operator_daemon_calls_total',
      help: 'Calls to storage daemons by daemon, call and result: ok, or the kind of the problem',
      labelNames: ['daemon', 'call', 'result'],
      registers,
    });
    this.#seconds = new Histogram({
      name: 'varve_operator_daemon_call_seconds',
      help: 'Time to the answer of a storage daemon, repeats of one call included',
      labelNames: ['daemon', 'call'],
      registers,
      buckets: latencyBuckets,
    });
  }

  /** A call has ended. */
  called(
    labels: { readonly daemon: string; readonly call: string; readonly result: string },
    seconds: number,
  ): void {
    const { daemon, call } = labels;
    this.#calls.inc(labels);
    this.#seconds.observe({ daemon, call }, seconds);
  }
}
