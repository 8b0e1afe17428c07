/**
 * Runs a reconciler: watches put keys into a queue, workers take them, and each pass ends in one of four
 * ways (see `reconcile-result.ts`). A failure of one key never stops the others: a broken invariant of
 * ours, too, fails that key alone, is counted, and is retried slowly.
 */
import type { Clock, Timer } from '@varve/common/clock';
import type { Logger } from '@varve/common/logger';
import { apiErrorKind } from './api-errors.ts';
import type { KubeMetrics } from './kube-metrics.ts';
import type { KubernetesObject } from './kubernetes-object.ts';
import type { Listers } from './lister.ts';
import type { ObjectStore } from './cache/object-store.ts';
import type { ControllerModule } from './reconciler.ts';
import { done, type ReconcileResult } from './reconcile-result.ts';
import type { Resource } from './resource.ts';
import { Workqueue, workqueueDefaults } from './workqueue.ts';

/** How much a controller does at once, and for how long. */
export interface ControllerOptions {
  readonly workerCount: number;
  /** A pass that takes longer is aborted and retried: something hangs. */
  readonly passTimeoutMs: number;
  /** All keys are looked at again this often, whatever was missed. */
  readonly resyncIntervalMs: number;
}

/** Values for `ControllerOptions`, with their reasons. */
export const controllerDefaults = {
  /** Passes wait for the network most of the time; 1,000 snapshots at once are 16 rounds. */
  workerCount: 64,
  /** Longer than a daemon's and the API server's own time limits together. */
  passTimeoutMs: 120_000,
  /** As upstream's snapshot-controller; a pass that changes nothing costs no request. */
  resyncIntervalMs: 900_000,
} as const;

/** What the machinery gives to a controller. */
export interface ControllerDependencies {
  readonly stores: { storeOf<T extends KubernetesObject>(resource: Resource<T>): ObjectStore<T> };
  readonly listers: Listers;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: KubeMetrics;
  readonly random?: () => number;
}

/** See the file's head. */
export class Controller {
  readonly #module: ControllerModule;
  readonly #options: ControllerOptions;
  readonly #dependencies: ControllerDependencies;
  readonly #log: Logger;
  readonly #queue: Workqueue;
  readonly #stop = new AbortController();
  #workers: Promise<unknown> | undefined;
  #resyncTimer: Timer | undefined;

  constructor(
    module: ControllerModule,
    options: ControllerOptions,
    dependencies: ControllerDependencies,
  ) {
    this.#module = module;
    this.#options = options;
    this.#dependencies = dependencies;
    this.#log = dependencies.log.child({ controller: module.name });
    this.#queue = new Workqueue(
      { name: module.name, ...workqueueDefaults },
      { ...dependencies, metrics: dependencies.metrics.workqueue },
    );
    for (const watch of module.watches) {
      dependencies.stores.storeOf(watch.resource).addListener((change) => {
        for (const key of watch.keysOf(change, dependencies.listers)) this.#queue.add(key);
      });
    }
  }

  /** Starts the workers. Call it when the stores are complete: a decision on half a world is wrong. */
  start(): void {
    this.#workers = Promise.all(
      Array.from({ length: this.#options.workerCount }, async () => this.#work()),
    );
    this.#scheduleResync();
  }

  /** Looks at a key now, for reasons that no watch tells of. */
  enqueue(key: string): void {
    this.#queue.add(key);
  }

  /** Looks at all keys now. */
  resync(): void {
    const { stores, listers } = this.#dependencies;
    for (const watch of this.#module.watches) {
      for (const object of stores.storeOf(watch.resource).list()) {
        const change = { type: 'modified', object, previous: object } as const;
        for (const key of watch.keysOf(change, listers)) this.#queue.add(key);
      }
    }
  }

  /** Aborts passes under way and resolves when they have ended. May be called twice. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#resyncTimer?.cancel();
    this.#queue.close();
    await this.#workers;
  }

  async #work(): Promise<void> {
    for (;;) {
      const key = await this.#queue.take();
      if (key === undefined) return;
      try {
        await this.#pass(key);
      } finally {
        this.#queue.done(key);
      }
    }
  }

  async #pass(key: string): Promise<void> {
    const timeout = new AbortController();
    const timer = this.#dependencies.clock.setTimer(
      () => timeout.abort(new Error(`Reconciling ${key} took too long`)),
      this.#options.passTimeoutMs,
    );
    const signal = AbortSignal.any([this.#stop.signal, timeout.signal]);
    try {
      this.#accept(key, await this.#module.reconciler.reconcile(key, signal));
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#retry(key, error);
    } finally {
      timer.cancel();
    }
  }

  #accept(key: string, result: ReconcileResult): void {
    this.#dependencies.metrics.reconciled(this.#module.name, result.outcome);
    this.#queue.forget(key);
    switch (result.outcome) {
      case 'done':
        return;
      case 'requeue-after':
        this.#queue.addAfter(key, result.delayMs);
        return;
      case 'terminal':
        this.#log.warn({ key, err: result.error }, 'stopped: this cannot succeed as it is');
    }
  }

  #retry(key: string, error: unknown): void {
    const kind = apiErrorKind(error);
    // Told where the role was lost; whoever has it now does the rest.
    if ((error as { kind?: unknown }).kind === 'role-lost') {
      this.#accept(key, done());
      return;
    }
    const isRace = kind === 'conflict' || kind === 'not-found' || kind === 'already-exists';
    this.#dependencies.metrics.reconciled(this.#module.name, isRace ? 'conflict' : 'error');
    const delayMs = this.#queue.addRateLimited(key, retryAfterMsOf(error));
    const fields = { key, err: error, failures: this.#queue.failureCountOf(key), delayMs };
    // Somebody was faster, and the next pass sees what they did: nothing for people to look at.
    if (isRace) this.#log.debug(fields, 'looking again');
    else this.#log.warn(fields, 'failed; will be retried');
  }

  #scheduleResync(): void {
    const { clock, random } = this.#dependencies;
    // Spread, so that several controllers do not walk their stores at one instant.
    const delayMs = this.#options.resyncIntervalMs * (0.8 + 0.4 * (random ?? Math.random)());
    this.#resyncTimer = clock.setTimer(() => {
      this.resync();
      this.#scheduleResync();
    }, delayMs);
  }
}

/** How long the other side asked us to stay away: errors of the API server and of daemons may say so. */
function retryAfterMsOf(error: unknown): number {
  if (typeof error !== 'object' || error === null) return 0;
  const { retryAfterMs, retryAfterSeconds } = error as Record<string, unknown>;
  if (typeof retryAfterMs === 'number') return retryAfterMs;
  return typeof retryAfterSeconds === 'number' ? retryAfterSeconds * 1000 : 0;
}
