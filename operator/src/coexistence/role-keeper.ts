/**
 * Finds out whose the role of the snapshot controller is, and goes on looking. Signs of a foreign controller, its
 * Lease, its pods, its writes, take the role from us at once. It comes to us when the cluster had no snapshot
 * definitions before ours, or when there is no sign and nobody answers a canary, twice.
 */
import type { Clock } from '@varve/common/clock';
import { waitFor } from '@varve/common/clock';
import type { Logger } from '@varve/common/logger';
import { ObjectStore } from '../kube/cache/object-store.ts';
import { Reflector, reflectorDefaults } from '../kube/cache/reflector.ts';
import type { KubeClient, Selection } from '../kube/kube-client.ts';
import type { KubeMetrics } from '../kube/kube-metrics.ts';
import type { KubernetesObject } from '../kube/kubernetes-object.ts';
import type { ObjectChange } from '../kube/lister.ts';
import type { Resource } from '../kube/resource.ts';
import { leases, pods, volumeSnapshotContents, volumeSnapshots } from '../kube/resource.ts';
import { askByCanary, removeCanaries, type CanaryOptions } from './canary.ts';
import {
  foreignLeaseName,
  foreignPodSelectors,
  leaseSign,
  podSign,
  writeSign,
} from './foreign-signals.ts';
import type { SnapshotRole } from './snapshot-role.ts';

/** How the role is found out; see {@link roleKeeperDefaults}. */
export interface RoleKeeperOptions {
  readonly mode: 'auto' | 'always' | 'never';
  /** All snapshot definitions are ours: no foreign controller can have come before. */
  readonly hasOwnDefinitions: boolean;
  readonly canary: CanaryOptions;
  readonly canaryCount: number;
  /** After the last sign of a foreign controller. */
  readonly quietMs: number;
  readonly retryMs: number;
  /** After a canary was answered by a controller of which there is no other sign. */
  readonly recheckMs: number;
}

/** Values for `RoleKeeperOptions`, with their reasons. */
export const roleKeeperDefaults = {
  /** Upstream answers within seconds; its leader election, after a crash, within a minute. */
  canary: { waitMs: 60_000, pollMs: 1000 },
  canaryCount: 2,
  /** Longer than a Lease of upstream lasts, and than its pods take to be replaced. */
  quietMs: 120_000,
  retryMs: 10_000,
  /** A hosted control plane hides its controller; asking it more often would be traffic without end. */
  recheckMs: 1_800_000,
} as const;

/** What the keeper needs. */
export interface RoleKeeperDependencies {
  readonly role: SnapshotRole;
  readonly client: KubeClient;
  readonly stores: { storeOf<T extends KubernetesObject>(resource: Resource<T>): ObjectStore<T> };
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: KubeMetrics;
}

/** See the file's head. */
export class RoleKeeper {
  readonly #options: RoleKeeperOptions;
  readonly #dependencies: RoleKeeperDependencies;
  readonly #pods: ObjectStore<KubernetesObject>[] = [];
  #answeredMs = Number.NEGATIVE_INFINITY;

  constructor(options: RoleKeeperOptions, dependencies: RoleKeeperDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
  }

  /** Begins: where the role is certain it is so when this returns, before any controller works. */
  start(): void {
    const { mode, hasOwnDefinitions } = this.#options;
    const { role, stores } = this.#dependencies;
    if (mode === 'never') role.yield('--snapshot-controller is never');
    if (mode === 'always') role.take('--snapshot-controller is always');
    if (mode !== 'auto') return;
    if (hasOwnDefinitions) role.take('the snapshot definitions are ours');
    else role.doubt(this.#longestMs(), 'the cluster had snapshot definitions before');
    stores.storeOf(volumeSnapshots).addListener((change) => this.#hear(change, writeSign));
    stores.storeOf(volumeSnapshotContents).addListener((change) => this.#hear(change, writeSign));
  }

  /** Watches, and decides whenever the role is not ours, until `signal` is aborted. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    if (this.#options.mode !== 'auto') return;
    await Promise.all([
      this.#watch(leases, { fieldSelector: `metadata.name=${foreignLeaseName}` }, signal),
      ...this.#watchPods(signal),
      this.#decideAgainAndAgain(signal),
    ]);
  }

  #watchPods(signal: AbortSignal): readonly Promise<void>[] {
    const selections: readonly Selection[] = [
      ...foreignPodSelectors.map((labelSelector) => ({ labelSelector })),
      // Embedded in another driver's pod it has other labels; most distributions keep it here.
      { namespace: 'kube-system' },
    ];
    return selections.map(async (selection) => this.#watch(pods, selection, signal));
  }

  async #watch<T extends KubernetesObject>(
    resource: Resource<T>,
    selection: Selection,
    signal: AbortSignal,
  ): Promise<void> {
    const store = new ObjectStore<KubernetesObject>();
    if (resource.kind === 'Pod') this.#pods.push(store);
    const sign = resource.kind === 'Pod' ? podChangeSign : leaseSign;
    store.addListener((change) => this.#hear(change, sign));
    const { client, clock, log, metrics } = this.#dependencies;
    const reflector = new Reflector(
      { resource, selection, ...reflectorDefaults, isObserved: false },
      { client, store, clock, log, metrics },
    );
    await reflector.run(signal);
  }

  #hear(
    change: ObjectChange,
    signOf: (change: ObjectChange, nowMs: number) => string | undefined,
  ): void {
    const { role, clock } = this.#dependencies;
    const sign = signOf(change, clock.nowMs());
    if (sign !== undefined) role.yield(sign);
  }

  async #decideAgainAndAgain(signal: AbortSignal): Promise<void> {
    const { role, clock, log } = this.#dependencies;
    while (!signal.aborted) {
      try {
        if (role.state !== 'ours' && this.#isQuiet()) await this.#decide(signal);
      } catch (error) {
        // Not allowed, or no such namespace: without an answer the role is not taken.
        log.warn({ err: error }, 'finding out who is the snapshot controller failed');
      }
      await waitFor(clock, this.#options.retryMs, signal);
    }
  }

  #isQuiet(): boolean {
    const { role, clock } = this.#dependencies;
    const { quietMs, recheckMs } = this.#options;
    if (role.quietMs < quietMs || clock.monotonicMs() - this.#answeredMs < recheckMs) return false;
    return this.#pods.every((store) =>
      store.list().every((pod) => podSign(pod as Parameters<typeof podSign>[0]) === undefined),
    );
  }

  async #decide(signal: AbortSignal): Promise<void> {
    const { role, client, clock } = this.#dependencies;
    const { canary, canaryCount } = this.#options;
    await removeCanaries(canary.namespace, client);
    role.doubt(this.#longestMs(), 'no sign of a foreign snapshot-controller was seen lately');
    for (let count = 0; count < canaryCount; count++) {
      if (await askByCanary(canary, this.#dependencies, signal)) {
        this.#answeredMs = clock.monotonicMs();
        role.yield('a canary was answered');
        return;
      }
      // A sign came meanwhile.
      if (signal.aborted || role.state !== 'undecided') return;
    }
    role.take('no snapshot-controller answered');
  }

  #longestMs(): number {
    return this.#options.canaryCount * this.#options.canary.waitMs;
  }
}

function podChangeSign(change: ObjectChange): string | undefined {
  if (change.type === 'deleted') return undefined;
  return podSign(change.object as Parameters<typeof podSign>[0]);
}
