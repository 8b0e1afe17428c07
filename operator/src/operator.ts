/**
 * Wires the operator: connection, caches, leader election, definitions, controllers. Started by `main.ts` as a
 * process, and by the playground and tests within theirs.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import type { KubeConfig } from '@kubernetes/client-node';
import { backoffMs } from '@varve/common/backoff';
import type { Clock } from '@varve/common/clock';
import { systemClock, waitFor } from '@varve/common/clock';
import type { Logger } from '@varve/common/logger';
import { Registry } from 'prom-client';
import { ConfigError, type OperatorConfig } from './config.ts';
import type { ControllerContext } from './controller-context.ts';
import {
  createObjectControllers,
  createPollingControllers,
  type PollingParts,
} from './controller-modules.ts';
import { RoleKeeper, roleKeeperDefaults } from './coexistence/role-keeper.ts';
import { SnapshotRole } from './coexistence/snapshot-role.ts';
import { DaemonMetrics } from './daemons/daemon-metrics.ts';
import { DaemonRegistry } from './daemons/daemon-registry.ts';
import { createListedObjects } from './definitions/listed-objects.ts';
import { installDefinitions } from './definitions/install-definitions.ts';
import { HealthServer } from './health-server.ts';
import { ObjectCache } from './kube/cache/object-cache.ts';
import { Controller, controllerDefaults } from './kube/controller.ts';
import { ApiEventRecorder, eventRecorderDefaults } from './kube/event-recorder.ts';
import { ApiConnection, apiConnectionDefaults } from './kube/http/api-connection.ts';
import { ObservedKubeClient } from './kube/http/observed-kube-client.ts';
import { RestKubeClient } from './kube/http/rest-kube-client.ts';
import { KubeMetrics } from './kube/kube-metrics.ts';
import type { Leadership } from './kube/leader-election.ts';
import { LeaderElector, leaderElectionDefaults } from './kube/leader-election.ts';
import type { ControllerModule } from './kube/reconciler.ts';
import { operatorVersion } from './version.ts';

/** What an operator is started with. */
export interface OperatorOptions {
  readonly config: OperatorConfig;
  readonly kubeConfig: KubeConfig;
  readonly log: Logger;
  readonly clock?: Clock;
  /** How long finding out who is the snapshot controller takes; for tests. */
  readonly roleTimes?: RoleTimes;
}

/** See `RoleKeeperOptions`. */
export interface RoleTimes {
  readonly canary?: { readonly waitMs: number; readonly pollMs: number };
  readonly canaryCount?: number;
  readonly quietMs?: number;
  readonly retryMs?: number;
  readonly recheckMs?: number;
}

/** Why an operator ended. */
export type StopReason = 'stopped' | 'leadership-lost';

/** A running operator. */
export interface Operator {
  /** Where /metrics, /healthz and /readyz are. */
  readonly healthUrl: string;
  /** Resolves when the controllers work; never, if another instance leads until the end. */
  readonly working: Promise<void>;
  /** Resolves when everything has ended. */
  readonly stopped: Promise<StopReason>;
  /** Ends all work, gives up the lease. May be called twice. */
  stop(): Promise<void>;
}

const userAgent = `varve-operator/${operatorVersion}`;
const fieldManager = 'varve-operator';
const leaseName = 'varve-operator';
const podNamespaceFile = '/var/run/secrets/kubernetes.io/serviceaccount/namespace';
/** Where the chart puts the operator. */
const namespaceDefault = 'varve-system';
const startBackoff = { firstMs: 500, longestMs: 15_000, jitter: 0.2 };
/** What is told in the last moments may be lost rather than hold up the end. */
const eventFlushMsMax = 2000;

/** Starts the operator and returns at once; look at `working` and `stopped`. */
export async function startOperator(options: OperatorOptions): Promise<Operator> {
  const running = new RunningOperator(options);
  await running.start();
  return running;
}

class RunningOperator implements Operator {
  readonly #config: OperatorConfig;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #connection: ApiConnection;
  readonly #bareClient: RestKubeClient;
  readonly #cache: ObjectCache;
  readonly #client: ObservedKubeClient;
  readonly #events: ApiEventRecorder;
  readonly #daemons: DaemonRegistry;
  readonly #metrics: KubeMetrics;
  readonly #snapshotRole: SnapshotRole;
  readonly #roleTimes: RoleTimes | undefined;
  readonly #registry = new Registry();
  readonly #stop = new AbortController();
  readonly #working = Promise.withResolvers<void>();
  readonly #stopped = Promise.withResolvers<StopReason>();
  #modules: readonly ControllerModule[] = [];
  #controllers: readonly Controller[] = [];
  #keeping: Promise<void> = Promise.resolve();
  #health: HealthServer | undefined;
  #notReadyReason: (() => string) | undefined = () => 'starting';

  constructor({ config, kubeConfig, log, clock = systemClock, roleTimes }: OperatorOptions) {
    this.#config = config;
    this.#roleTimes = roleTimes;
    this.#snapshotRole = new SnapshotRole({ clock, log });
    this.#log = log;
    this.#clock = clock;
    this.#metrics = new KubeMetrics(this.#registry);
    this.#connection = new ApiConnection(
      { ...apiConnectionDefaults, kubeConfig, userAgent, connectionsMax: config.apiConnections },
      { clock },
    );
    const rate = { ratePerSecond: config.apiRate, burst: config.apiBurst };
    const parts = { clock, log, metrics: this.#metrics };
    this.#bareClient = new RestKubeClient(
      { fieldManager, rate },
      { ...parts, connection: this.#connection },
    );
    this.#cache = new ObjectCache({ ...parts, client: this.#bareClient });
    this.#client = new ObservedKubeClient(this.#bareClient, this.#cache);
    this.#events = new ApiEventRecorder(
      { component: config.driverName, instance: hostname(), ...eventRecorderDefaults },
      { ...parts, client: this.#bareClient },
    );
    this.#daemons = new DaemonRegistry({
      client: this.#bareClient,
      listers: this.#cache,
      clock,
      log,
      metrics: new DaemonMetrics(this.#registry),
    });
  }

  get healthUrl(): string {
    return this.#health?.url ?? '';
  }

  get working(): Promise<void> {
    return this.#working.promise;
  }

  get stopped(): Promise<StopReason> {
    return this.#stopped.promise;
  }

  async start(): Promise<void> {
    this.#modules = this.#createModules();
    this.#checkControllerNames();
    this.#health = await HealthServer.start(this.#config.listen, {
      registry: this.#registry,
      notReadyReason: () => this.#notReadyReason?.(),
    });
    this.#log.info(
      {
        apiServer: this.#connection.host,
        health: this.#health.url,
        driver: this.#config.driverName,
      },
      'started',
    );
    void this.#run();
  }

  #checkControllerNames(): void {
    const names = this.#modules.map(({ name }) => name);
    const unknown = Object.keys(this.#config.controllerWorkers).find(
      (name) => !names.includes(name),
    );
    if (unknown === undefined) return;
    throw new ConfigError(
      `Reading the configuration failed: controllerWorkers names "${unknown}"; ` +
        `there are ${names.join(', ')}`,
    );
  }

  #workerCountOf(name: string): number {
    return this.#config.controllerWorkers[name] ?? this.#config.workers;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#stopped.promise;
  }

  async #run(): Promise<void> {
    const leadership = await this.#becomeLeader();
    const lost = leadership?.lost ?? new AbortController().signal;
    const signal = AbortSignal.any([this.#stop.signal, lost]);
    await this.#work(signal);
    await this.#end();
    if (!lost.aborted) await leadership?.release();
    else this.#log.error({ err: lost.reason as unknown }, 'lost the leadership');
    await this.#connection.close();
    await this.#health?.close();
    this.#log.info('stopped');
    this.#stopped.resolve(lost.aborted ? 'leadership-lost' : 'stopped');
  }

  async #becomeLeader(): Promise<Leadership | undefined> {
    const podNamespace = readPodNamespace();
    const mode = this.#config.leaderElection;
    if (mode === 'off' || (mode === 'auto' && podNamespace === undefined)) return undefined;
    const namespace = this.#config.leaderElectionNamespace ?? podNamespace ?? namespaceDefault;
    const elector = new LeaderElector(
      {
        identity: `${hostname()}_${randomUUID()}`,
        lease: { namespace, name: leaseName },
        ...leaderElectionDefaults,
      },
      { client: this.#bareClient, clock: this.#clock, log: this.#log },
    );
    // A stand-by is as ready as it can be: a rollout must not wait for it to lead.
    this.#notReadyReason = undefined;
    return elector.acquire(this.#stop.signal);
  }

  /** Works until the signal is aborted. */
  async #work(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    this.#notReadyReason = () => 'installing definitions';
    const installed = await this.#install(signal);
    if (installed === undefined) return;
    const modules = this.#modules;
    for (const module of modules) {
      for (const watch of module.watches) this.#cache.register(watch.resource);
      for (const index of module.indexes) this.#cache.addIndex(index);
    }
    this.#controllers = modules.map(
      (module) =>
        new Controller(
          module,
          { ...controllerDefaults, workerCount: this.#workerCountOf(module.name) },
          {
            stores: this.#cache,
            listers: this.#cache,
            clock: this.#clock,
            log: this.#log,
            metrics: this.#metrics,
          },
        ),
    );
    this.#notReadyReason = () => `listing ${this.#cache.notSynced().join(', ')}`;
    this.#cache.start();
    await Promise.race([this.#cache.synced(), aborted(signal)]);
    if (signal.aborted) return;
    const keeper = this.#createRoleKeeper(installed.hasOwnSnapshotDefinitions);
    keeper.start();
    this.#keeping = keeper.run(signal);
    for (const controller of this.#controllers) controller.start();
    this.#notReadyReason = undefined;
    this.#log.info({ controllers: modules.map(({ name }) => name) }, 'working');
    this.#working.resolve();
    await this.#createListedObjects(signal);
    await aborted(signal);
  }

  async #createListedObjects(signal: AbortSignal): Promise<void> {
    const [namespace, name = ''] = this.#config.listedObjects?.split('/') ?? [];
    if (namespace === undefined) return;
    const dependencies = { client: this.#bareClient, events: this.#events, log: this.#log };
    for (let failureCount = 1; !signal.aborted; failureCount++) {
      try {
        await createListedObjects({ namespace, name }, dependencies);
        return;
      } catch (error) {
        this.#log.warn({ err: error }, 'creating the listed objects failed; will be retried');
        await waitFor(this.#clock, backoffMs(startBackoff, failureCount), signal);
      }
    }
  }

  #createRoleKeeper(hasOwnDefinitions: boolean): RoleKeeper {
    const config = this.#config;
    const role = this.#snapshotRole;
    role.onChange((state) => {
      if (state === 'ours') for (const controller of this.#controllers) controller.resync();
    });
    const namespace = config.leaderElectionNamespace ?? readPodNamespace() ?? 'default';
    return new RoleKeeper(
      {
        ...roleKeeperDefaults,
        ...this.#roleTimes,
        mode: config.snapshotController,
        hasOwnDefinitions,
        canary: { namespace, ...roleKeeperDefaults.canary, ...this.#roleTimes?.canary },
      },
      {
        role,
        client: this.#bareClient,
        stores: this.#cache,
        clock: this.#clock,
        log: this.#log,
        metrics: this.#metrics,
      },
    );
  }

  async #install(
    signal: AbortSignal,
  ): Promise<{ readonly hasOwnSnapshotDefinitions: boolean } | undefined> {
    const dependencies = { client: this.#bareClient, clock: this.#clock, log: this.#log };
    for (let failureCount = 1; !signal.aborted; failureCount++) {
      try {
        const installed = await installDefinitions(dependencies, signal);
        return signal.aborted ? undefined : installed;
      } catch (error) {
        const { message } = error as Error;
        this.#notReadyReason = () => message;
        this.#log.warn({ err: error }, 'installing definitions failed; will be retried');
        await waitFor(this.#clock, backoffMs(startBackoff, failureCount), signal);
      }
    }
    return undefined;
  }

  #createModules(): readonly ControllerModule[] {
    const context: ControllerContext = {
      driverName: this.#config.driverName,
      client: this.#client,
      listers: this.#cache,
      daemons: this.#daemons,
      events: this.#events,
      snapshotRole: this.#snapshotRole,
      clock: this.#clock,
      log: this.#log,
    };
    return [
      ...createPollingControllers(context, this.#pollingParts()),
      ...createObjectControllers(context),
    ];
  }

  #pollingParts(): PollingParts {
    const { orphanCheckSeconds, orphanRemoval, orphanGraceSeconds } = this.#config;
    const removal = { isOn: orphanRemoval === 'on', graceMs: orphanGraceSeconds * 1000 };
    return {
      daemons: this.#daemons,
      orphanCheck: { intervalMs: orphanCheckSeconds * 1000, removal },
      registry: this.#registry,
    };
  }

  async #end(): Promise<void> {
    this.#notReadyReason = () => 'stopping';
    await Promise.all(this.#controllers.map(async (controller) => controller.stop()));
    await this.#keeping;
    await Promise.race([this.#events.flush(), waitFor(this.#clock, eventFlushMsMax)]);
    this.#events.destroy();
    await this.#cache.stop();
    await this.#daemons.destroy();
  }
}

function readPodNamespace(): string | undefined {
  try {
    return readFileSync(podNamespaceFile, 'utf8').trim();
  } catch {
    return undefined;
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
