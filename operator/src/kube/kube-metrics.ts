import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** What a queue shows of itself when metrics are read. */
export interface ObservedQueue {
  readonly depth: number;
  readonly oldestAgeMs: number;
  readonly longestWorkMs: number;
}

/** What a reflector shows of itself when metrics are read. */
export interface ObservedReflector {
  readonly silenceMs: number;
  readonly objectCount: number;
}

const latencyBuckets = [0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** Metrics of all workqueues of a process. */
export class WorkqueueMetrics {
  readonly #queues = new Map<string, ObservedQueue>();
  readonly #adds: Counter;
  readonly #retries: Counter;
  readonly #refusals: Counter;
  readonly #waits: Histogram;
  readonly #works: Histogram;

  constructor(registry: Registry) {
    const labelNames = ['queue'];
    const registers = [registry];
    const queues = this.#queues;
    const counter = (name: string, help: string): Counter =>
      new Counter({ name, help, labelNames, registers });
    this.#adds = counter('varve_operator_workqueue_adds_total', 'Adds of keys, repeats included');
    this.#retries = counter('varve_operator_workqueue_retries_total', 'Retries after failures');
    this.#refusals = counter(
      'varve_operator_workqueue_refused_total',
      'Keys refused because the queue was full; the periodic resync finds them again',
    );
    this.#waits = new Histogram({
      name: 'varve_operator_workqueue_wait_seconds',
      help: 'How long keys were ready before a worker took them',
      labelNames,
      registers,
      buckets: latencyBuckets,
    });
    this.#works = new Histogram({
      name: 'varve_operator_workqueue_work_seconds',
      help: 'How long a pass over a key took',
      labelNames,
      registers,
      buckets: latencyBuckets,
    });
    const gauge = (name: string, help: string, valueOf: (queue: ObservedQueue) => number): Gauge =>
      new Gauge({
        name,
        help,
        labelNames,
        registers,
        collect() {
          for (const [queue, observed] of queues) this.set({ queue }, valueOf(observed));
        },
      });
    gauge('varve_operator_workqueue_depth', 'Keys ready to be worked on', (queue) => queue.depth);
    gauge(
      'varve_operator_workqueue_oldest_seconds',
      'How long the first ready key has been waiting',
      (queue) => queue.oldestAgeMs / 1000,
    );
    gauge(
      'varve_operator_workqueue_longest_work_seconds',
      'How long the longest pass under way has been running',
      (queue) => queue.longestWorkMs / 1000,
    );
  }

  /** Shows a queue's depth and ages from now on. */
  observe(queue: string, observed: ObservedQueue): void {
    this.#queues.set(queue, observed);
  }

  added(queue: string): void {
    this.#adds.inc({ queue });
  }

  retried(queue: string): void {
    this.#retries.inc({ queue });
  }

  refused(queue: string): void {
    this.#refusals.inc({ queue });
  }

  waited(queue: string, seconds: number): void {
    this.#waits.observe({ queue }, seconds);
  }

  worked(queue: string, seconds: number): void {
    this.#works.observe({ queue }, seconds);
  }
}

/** Metrics of everything else in the machinery; in a registry of their own unless one is given. */
export class KubeMetrics {
  readonly workqueue: WorkqueueMetrics;
  readonly #reflectors = new Map<string, ObservedReflector>();
  readonly #requests: Counter;
  readonly #requestSeconds: Histogram;
  readonly #lists: Counter;
  readonly #watchFailures: Counter;
  readonly #reconciles: Counter;
  readonly #events: Counter;

  constructor(registry = new Registry()) {
    this.workqueue = new WorkqueueMetrics(registry);
    const registers = [registry];
    const reflectors = this.#reflectors;
    this.#requests = new Counter({
      name: 'varve_operator_api_requests_total',
      help: 'Requests to the Kubernetes API server by HTTP method, resource and answer',
      labelNames: ['method', 'resource', 'code'],
      registers,
    });
    this.#requestSeconds = new Histogram({
      name: 'varve_operator_api_request_seconds',
      help: 'Time to the answer of the Kubernetes API server, watches aside',
      labelNames: ['method'],
      registers,
      buckets: latencyBuckets,
    });
    this.#lists = new Counter({
      name: 'varve_operator_reflector_lists_total',
      help: 'Complete lists of a resource; more than one means that a watch was too old to go on',
      labelNames: ['resource'],
      registers,
    });
    this.#watchFailures = new Counter({
      name: 'varve_operator_reflector_failures_total',
      help: 'Lists and watches that failed',
      labelNames: ['resource', 'kind'],
      registers,
    });
    this.#reconciles = new Counter({
      name: 'varve_operator_reconciles_total',
      help: 'Passes over keys by controller and outcome',
      labelNames: ['controller', 'outcome'],
      registers,
    });
    this.#events = new Counter({
      name: 'varve_operator_events_total',
      help: 'Events by what became of them: created, updated, merged, dropped, failed',
      labelNames: ['result'],
      registers,
    });
    const gauge = (name: string, help: string, valueOf: (of: ObservedReflector) => number): Gauge =>
      new Gauge({
        name,
        help,
        labelNames: ['resource'],
        registers,
        collect() {
          for (const [resource, observed] of reflectors) this.set({ resource }, valueOf(observed));
        },
      });
    gauge(
      'varve_operator_reflector_silence_seconds',
      'Seconds since a list, event or bookmark of the resource arrived',
      (observed) => observed.silenceMs / 1000,
    );
    gauge(
      'varve_operator_reflector_objects',
      'Objects in the local copy',
      (observed) => observed.objectCount,
    );
  }

  /** Shows a reflector's state from now on. */
  observeReflector(resource: string, observed: ObservedReflector): void {
    this.#reflectors.set(resource, observed);
  }

  requested(method: string, resource: string, code: string, seconds: number): void {
    this.#requests.inc({ method, resource, code });
    this.#requestSeconds.observe({ method }, seconds);
  }

  listed(resource: string): void {
    this.#lists.inc({ resource });
  }

  watchFailed(resource: string, kind: string): void {
    this.#watchFailures.inc({ resource, kind });
  }

  reconciled(controller: string, outcome: string): void {
    this.#reconciles.inc({ controller, outcome });
  }

  event(result: string): void {
    this.#events.inc({ result });
  }
}
