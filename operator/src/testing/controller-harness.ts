import { assert } from '@varve/common/assert';
import type { Clock } from '@varve/common/clock';
import { silentLogger } from '@varve/common/logger';
import { ManualClock } from '@varve/common/testing/manual-clock';
import { ProblemError } from '@varve/contract/problem';
import { Registry } from 'prom-client';
import { uncontestedRole } from '../coexistence/snapshot-role.ts';
import type { ControllerContext } from '../controller-context.ts';
import type { Daemons } from '../daemons/daemons.ts';
import { ObjectCache } from '../kube/cache/object-cache.ts';
import { Controller, controllerDefaults } from '../kube/controller.ts';
import type { EventRecorder } from '../kube/event-recorder.ts';
import { ObservedKubeClient } from '../kube/http/observed-kube-client.ts';
import { KubeMetrics } from '../kube/kube-metrics.ts';
import type { KubernetesObject } from '../kube/kubernetes-object.ts';
import { objectKey } from '../kube/kubernetes-object.ts';
import type { ControllerModule } from '../kube/reconciler.ts';
import { MemoryCluster } from './memory-cluster.ts';

/** What to run. */
export interface ControllerHarnessOptions {
  readonly createModules: (context: ControllerContext) => readonly ControllerModule[];
  readonly daemons?: Daemons;
  readonly cluster?: MemoryCluster;
  /** Time that stands still until `settle`, unless given. */
  readonly clock?: Clock;
}

/** Nobody can be reached. */
const noDaemons: Daemons = {
  clientOf: async (name) => {
    throw new ProblemError('unavailable', `there is no daemon ${name} in this test`);
  },
};

/**
 * Runs controllers on the real machinery (caches, watches, queues, workers) against a cluster in memory, with
 * time in the test's hand: `settle` lets everything happen that happens by itself within a time.
 */
export class ControllerHarness {
  readonly cluster: MemoryCluster;
  readonly clock: Clock;
  readonly context: ControllerContext;
  /** `Warning default/name Reason: message`, in order. */
  readonly events: string[] = [];
  readonly #cache: ObjectCache;
  readonly #controllers: readonly Controller[];

  private constructor(options: ControllerHarnessOptions) {
    this.clock = options.clock ?? new ManualClock();
    this.cluster = options.cluster ?? new MemoryCluster(this.clock);
    const log = silentLogger();
    const metrics = new KubeMetrics(new Registry());
    // The same run every time: no jitter.
    const parts = { clock: this.clock, log, metrics, random: () => 0.5 };
    this.#cache = new ObjectCache({ ...parts, client: this.cluster });
    this.context = {
      driverName: 'csi.varve.dev',
      client: new ObservedKubeClient(this.cluster, this.#cache),
      listers: this.#cache,
      daemons: options.daemons ?? noDaemons,
      events: this.#recorder(),
      snapshotRole: uncontestedRole,
      clock: this.clock,
      log,
    };
    const modules = options.createModules(this.context);
    for (const module of modules) {
      for (const watch of module.watches) this.#cache.register(watch.resource);
      for (const index of module.indexes) this.#cache.addIndex(index);
    }
    this.#controllers = modules.map(
      (module) =>
        new Controller(
          module,
          { ...controllerDefaults, workerCount: 4 },
          { ...parts, stores: this.#cache, listers: this.#cache },
        ),
    );
  }

  /** Starts the controllers on what the cluster holds. */
  static async start(options: ControllerHarnessOptions): Promise<ControllerHarness> {
    const harness = new ControllerHarness(options);
    harness.#cache.start();
    if (harness.clock instanceof ManualClock) await harness.clock.advance(0);
    await harness.#cache.synced();
    for (const controller of harness.#controllers) controller.start();
    return harness;
  }

  /** Lets time pass, with all that happens in it. */
  async settle(durationMs = 60_000): Promise<void> {
    assert(this.clock instanceof ManualClock, 'only time in the hand can be moved');
    await this.clock.advance(durationMs);
  }

  /** Ends the controllers as a crash does: nothing that they hold survives; the cluster does. */
  async stop(): Promise<void> {
    await Promise.all(this.#controllers.map(async (controller) => controller.stop()));
    await this.#cache.stop();
  }

  #recorder(): EventRecorder {
    const record = (type: string, object: KubernetesObject, text: string): void => {
      this.events.push(`${type} ${objectKey(object.metadata)} ${text}`);
    };
    return {
      normal: (object, reason, message) => record('Normal', object, `${reason}: ${message}`),
      warning: (object, reason, message) => record('Warning', object, `${reason}: ${message}`),
    };
  }
}
