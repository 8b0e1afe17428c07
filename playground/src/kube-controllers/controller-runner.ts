/**
 * Runs controllers: each names the keys that a change concerns, and is asked about each key once, later, however
 * many changes there were. It decides by the state as it is then, never by the change. A key that failed is tried
 * again with growing waits.
 */
import type { Change } from '../api-server/storage/change.ts';
import type { ObjectStore } from '../api-server/storage/object-store.ts';

/** A controller. */
export interface KubeController {
  readonly name: string;
  /** Keys to begin with. */
  initialKeys(): Iterable<string>;
  /** Keys that a change concerns. */
  keysOf(change: Change): Iterable<string>;
  /** Brings what a key stands for nearer to what it should be. */
  reconcile(key: string): void;
}

const retryDelayMinMs = 500;
/** A failure here is a refusal that only another change resolves, which wakes the key anyway. */
const retryDelayMaxMs = 30_000;

/** What the runner needs. */
export interface ControllerRunnerDependencies {
  readonly store: ObjectStore;
  readonly onError: (controller: string, key: string, error: unknown) => void;
}

/** Runs controllers until it is closed. */
export class ControllerRunner {
  readonly #controllers: readonly KubeController[];
  readonly #dependencies: ControllerRunnerDependencies;
  readonly #pending = new Map<KubeController, Set<string>>();
  readonly #failures = new Map<string, number>();
  readonly #retries = new Set<NodeJS.Timeout>();
  readonly #unsubscribe: () => void;
  #isScheduled = false;
  #isClosed = false;

  constructor(controllers: readonly KubeController[], dependencies: ControllerRunnerDependencies) {
    this.#controllers = controllers;
    this.#dependencies = dependencies;
    this.#unsubscribe = dependencies.store.subscribe((change) => {
      for (const controller of controllers) {
        for (const key of controller.keysOf(change)) this.#add(controller, key);
      }
    });
    for (const controller of controllers) {
      for (const key of controller.initialKeys()) this.#add(controller, key);
    }
  }

  /** Stops; nothing is reconciled afterwards. */
  close(): void {
    this.#isClosed = true;
    this.#unsubscribe();
    for (const retry of this.#retries) clearTimeout(retry);
  }

  #add(controller: KubeController, key: string): void {
    const keys = this.#pending.get(controller) ?? new Set();
    this.#pending.set(controller, keys.add(key));
    if (this.#isScheduled || this.#isClosed) return;
    this.#isScheduled = true;
    setImmediate(() => this.#run());
  }

  /** One pass over what is pending; what it wakes is for the next pass, so that requests get their turn. */
  #run(): void {
    this.#isScheduled = false;
    if (this.#isClosed) return;
    for (const controller of this.#controllers) {
      const keys = this.#pending.get(controller) ?? [];
      this.#pending.delete(controller);
      for (const key of keys) this.#reconcile(controller, key);
    }
  }

  #reconcile(controller: KubeController, key: string): void {
    const id = `${controller.name} ${key}`;
    try {
      controller.reconcile(key);
      this.#failures.delete(id);
    } catch (error) {
      this.#dependencies.onError(controller.name, key, error);
      const failures = this.#failures.get(id) ?? 0;
      this.#failures.set(id, failures + 1);
      const delayMs = Math.min(retryDelayMinMs * 2 ** failures, retryDelayMaxMs);
      const retry = setTimeout(() => {
        this.#retries.delete(retry);
        this.#add(controller, key);
      }, delayMs);
      retry.unref();
      this.#retries.add(retry);
    }
  }
}
