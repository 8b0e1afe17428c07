/**
 * The operator on real parts, all in this process: the embedded API server with kube's controllers, a real storage
 * daemon whose store is in memory, and between them and the operator a gate at which calls can be made to fail. Waiting
 * is by watching the API server's state: no test sleeps.
 */
import { KubeConfig } from '@kubernetes/client-node';
import { systemClock } from '@varve/common/clock';
import { silentLogger } from '@varve/common/logger';
import type { DaemonClient } from '@varve/contract/client/daemon-client';
import { readConfig } from '@varve/operator/config';
import { ApiConnection, apiConnectionDefaults } from '@varve/operator/kube/http/api-connection';
import { RestKubeClient, restKubeClientDefaults } from '@varve/operator/kube/http/rest-kube-client';
import type { KubeClient } from '@varve/operator/kube/kube-client';
import { KubeMetrics } from '@varve/operator/kube/kube-metrics';
import type { Draft, KubernetesObject } from '@varve/operator/kube/kubernetes-object';
import type { Resource } from '@varve/operator/kube/resource';
import * as kinds from '@varve/operator/kube/resource';
import { startOperator, type Operator } from '@varve/operator/operator';
import { startApiServer, type ApiServer } from '@varve/playground/api-server/api-server';
import { refuseWith, type Interception } from '@varve/playground/api-server/http/interception';
import {
  startKubeControllers,
  type KubeControllers,
} from '@varve/playground/kube-controllers/kube-controllers';
import { TestDaemon } from '@varve/storage-daemon/testing/test-daemon';
import { Registry } from 'prom-client';
import { classManifests } from '../product/manifests.ts';
import { CallGate, type Verdict } from './call-gate.ts';
import { DaemonGateway } from './daemon-gateway.ts';

/** Everything here takes milliseconds. Less than a test may take, so that the failure can tell what is there. */
const patienceMs = 45_000;
/** Upstream's times are minutes; here everybody answers within milliseconds. */
const roleTimesOfTests = {
  canary: { waitMs: 1000, pollMs: 50 },
  canaryCount: 2,
  quietMs: 1000,
  retryMs: 100,
  recheckMs: 1000,
} as const;
const operatorUserAgent = /^varve-operator/;
/** The name of the StorageDaemon object. */
export const daemonName = 'node-1';

/** See the file's head. */
export class OperatorSite {
  readonly gate = new CallGate();
  readonly client: KubeClient;
  readonly kubeConfig = new KubeConfig();
  readonly #server: ApiServer;
  readonly #kubeControllers: KubeControllers;
  readonly #daemon: TestDaemon;
  readonly #gateway: DaemonGateway;
  readonly #connection: ApiConnection;
  readonly #problems: unknown[];
  readonly #args: readonly string[];
  #operator: Operator | undefined;

  private constructor(parts: {
    readonly server: ApiServer;
    readonly daemon: TestDaemon;
    readonly gate: CallGate;
    readonly gateway: DaemonGateway;
    readonly problems: unknown[];
    readonly args: readonly string[];
  }) {
    this.#args = parts.args;
    this.gate = parts.gate;
    this.#server = parts.server;
    this.#daemon = parts.daemon;
    this.#gateway = parts.gateway;
    this.#problems = parts.problems;
    this.#kubeControllers = startKubeControllers(parts.server.state, (_name, _key, error) =>
      parts.problems.push(error),
    );
    this.kubeConfig.loadFromString(parts.server.kubeconfig);
    this.#connection = new ApiConnection(
      { ...apiConnectionDefaults, kubeConfig: this.kubeConfig, userAgent: 'test' },
      { clock: systemClock },
    );
    this.client = new RestKubeClient(
      { ...restKubeClientDefaults, fieldManager: 'test' },
      {
        connection: this.#connection,
        clock: systemClock,
        metrics: new KubeMetrics(new Registry()),
      },
    );
  }

  /**
   * Starts everything, the operator included, with a daemon that is ready and classes for it. `definitions` are in the
   * cluster before the operator is.
   */
  static async start(
    definitions: readonly object[] = [],
    args: readonly string[] = [],
  ): Promise<OperatorSite> {
    const gate = new CallGate();
    const problems: unknown[] = [];
    const server = await startApiServer({
      onInternalError: (error) => problems.push(error),
      intercept: ({ userAgent, method, path }) =>
        operatorUserAgent.test(userAgent) ? toInterception(gate.judge(method, path)) : undefined,
    });
    const nvmeListen = [{ host: '127.0.0.1', port: 0 }];
    const daemon = await TestDaemon.start({ config: { nvmeListen } });
    await daemon.createPool('pool');
    const socketPath = (daemon.daemon.endpoints[0] ?? '').replace('unix://', '');
    const gateway = await DaemonGateway.start(socketPath, gate);
    const site = new OperatorSite({ server, daemon, gate, gateway, problems, args });
    await site.create(...definitions);
    await site.startOperator();
    await site.#createBasics();
    return site;
  }

  /** The daemon, asked directly. */
  get daemonClient(): DaemonClient {
    return this.#daemon.client;
  }

  /** Another way to the same daemon, with a gate of its own. The caller closes it. */
  async openGateway(gate: CallGate): Promise<DaemonGateway> {
    const socketPath = (this.#daemon.daemon.endpoints[0] ?? '').replace('unix://', '');
    return DaemonGateway.start(socketPath, gate);
  }

  /** Starts an operator as a new process would start: it knows nothing. `args` instead of the site's. */
  async startOperator(args = this.#args): Promise<void> {
    this.#operator = await startOperator({
      config: readConfig({ args, environment: {} }),
      kubeConfig: this.kubeConfig,
      log: silentLogger(),
      roleTimes: roleTimesOfTests,
    });
    await this.#operator.working;
  }

  /** Ends the operator. After a crash at the gate nothing of what it still tries has an effect. */
  async stopOperator(): Promise<void> {
    await this.#operator?.stop();
    this.#operator = undefined;
  }

  /** Creates objects as a user would, those with a namespace in `default`. */
  async create(...manifests: readonly object[]): Promise<void> {
    await this.createIn('default', ...manifests);
  }

  /** Creates objects, those with a namespace in the one given. */
  async createIn(namespace: string, ...manifests: readonly object[]): Promise<void> {
    for (const manifest of manifests as readonly Draft<KubernetesObject>[]) {
      const resource = resourcesByKind.get(manifest.kind);
      if (resource === undefined) throw new Error(`no resource for kind ${manifest.kind}`);
      const place = resource.isNamespaced ? { namespace } : {};
      const metadata = { ...place, ...manifest.metadata };
      await this.client.create(resource, { ...manifest, metadata });
    }
  }

  /** Waits until a claim is bound, and the operator has let go of it. */
  async untilBound(name: string): Promise<void> {
    await this.until(`${name} is bound`, () => {
      const claim = this.find(kinds.persistentVolumeClaims, name);
      return claim?.status?.phase === 'Bound' && claim.metadata.finalizers?.length === 1;
    });
  }

  /** Waits until a snapshot can be restored from. */
  async untilReady(name: string): Promise<void> {
    await this.until(
      `${name} is ready`,
      () => this.find(kinds.volumeSnapshots, name)?.status?.readyToUse === true,
    );
  }

  /** Waits until an object has an event of a form (`reason: message`), and returns it. */
  async untilTold(kind: string, name: string, form: RegExp): Promise<string> {
    const find = (): string | undefined =>
      this.eventsOf(kind, name).find((each) => form.test(each));
    await this.until(`${kind} ${name} is told ${form}`, () => find() !== undefined);
    return find() ?? '';
  }

  /** Asks for the deletion of an object. */
  async delete(resource: Resource, name: string): Promise<void> {
    const namespace = resource.isNamespaced ? 'default' : undefined;
    await this.client.delete(resource, { namespace, name });
  }

  /** Creates the classes that the manifests name. */
  async createClasses(): Promise<void> {
    await this.create(...classManifests());
  }

  /** All objects of a resource, as the API server has them. */
  list<T extends KubernetesObject>({ group, plural }: Resource<T>): readonly T[] {
    const storageKey = group === '' ? plural : `${plural}.${group}`;
    return this.#server.state.store.list(storageKey) as unknown as readonly T[];
  }

  /** The object of a name; no test uses a name in two namespaces. */
  find<T extends KubernetesObject>(resource: Resource<T>, name: string): T | undefined {
    return this.list(resource).find(({ metadata }) => metadata.name === name);
  }

  /** Waits until something holds; looks again at every change of any object. */
  async until(what: string, isSo: () => boolean): Promise<void> {
    if (isSo()) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const unsubscribe = this.#server.state.store.subscribe(() => {
      if (isSo()) resolve();
    });
    const timer = setTimeout(
      () => reject(new Error(`Waiting until ${what} took too long.\n${this.describe()}`)),
      patienceMs,
    );
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      unsubscribe();
    }
  }

  /** What is there, and what the operator has said about it: for people who read a failure. */
  describe(): string {
    const objects = watched.flatMap((resource) =>
      this.list(resource as Resource).map(({ kind, metadata, ...rest }) => {
        const { status } = rest as { status?: unknown };
        const { name, finalizers, annotations, deletionTimestamp } = metadata;
        const shown = { kind, name, finalizers, annotations, deletionTimestamp, status };
        return JSON.stringify(shown, bigintAsText);
      }),
    );
    const events = this.list(kinds.coreEvents).map(
      ({ type, involvedObject, reason, message }) =>
        `${type} ${involvedObject.kind}/${involvedObject.name} ${reason}: ${message}`,
    );
    return [...objects, ...events, 'calls:', ...this.gate.calls].join('\n');
  }

  /** Events about an object, as `reason: message`. */
  eventsOf(kind: string, name: string): readonly string[] {
    return this.list(kinds.coreEvents)
      .filter(({ involvedObject }) => involvedObject.kind === kind && involvedObject.name === name)
      .map(({ reason, message }) => `${reason}: ${message}`);
  }

  /** Volumes and snapshots that the daemon holds. */
  async heldByDaemon(): Promise<readonly string[]> {
    const volumes = await this.#daemon.client.listVolumes();
    const snapshots = await this.#daemon.client.listSnapshots();
    return [...volumes.items, ...snapshots.items].map(({ id }) => id).sort();
  }

  /** Ends everything. Throws if a part of the surroundings had a bug meanwhile. */
  async end(): Promise<void> {
    await this.stopOperator();
    this.#kubeControllers.close();
    await this.#connection.close();
    await this.#gateway.close();
    await this.#server.close();
    await this.#daemon.end();
    if (this.#problems.length > 0)
      throw new AggregateError(this.#problems.slice(0, 3), 'the surroundings failed');
  }

  async #createBasics(): Promise<void> {
    const spec = { endpoint: this.#gateway.endpoint };
    const metadata = { name: daemonName };
    const daemon = { apiVersion: 'varve.dev/v1alpha1', kind: 'StorageDaemon', metadata, spec };
    await this.createClasses();
    await this.create(daemon);
    await this.until('the daemon is ready', () => {
      const conditions = this.find(kinds.storageDaemons, daemonName)?.status?.conditions ?? [];
      return conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
    });
  }
}

/** Times in nanoseconds are too large for numbers. */
function bigintAsText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}

const resourcesByKind = new Map<string, Resource>(
  Object.values(kinds)
    .filter((value) => typeof value === 'object')
    .map((resource) => [resource.kind, resource as Resource]),
);

const watched = [
  kinds.persistentVolumeClaims,
  kinds.persistentVolumes,
  kinds.volumeSnapshots,
  kinds.volumeSnapshotContents,
] as const;

function toInterception(verdict: Verdict): Interception | undefined {
  // The API server answers all that it is asked.
  if (verdict === undefined || verdict === 'hold') return undefined;
  if (verdict === 'conflict') return refuseWith(409, 'Conflict', 'the test was faster');
  if (verdict === 'refuse') return refuseWith(500, 'InternalError', 'the test refuses this call');
  return { kind: verdict };
}
