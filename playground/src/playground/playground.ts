/**
 * Everything together: API server and kube's controllers in this process, storage daemon and operator as child
 * processes, and the objects that the source page takes for granted.
 *
 * Started in this order, ended in the reverse: the operator first, since it speaks to both others.
 */
import { appendFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DaemonClient } from '@varve/contract/client/daemon-client';
import { startApiServer, type ApiServer } from '../api-server/api-server.ts';
import { readPath, textOf, type JsonObject } from '../api-server/objects/json.ts';
import { ClusterClient, nameOf } from '../cluster/cluster-client.ts';
import {
  startKubeControllers,
  type KubeControllers,
} from '../kube-controllers/kube-controllers.ts';
import { fillClaim } from './first-data.ts';
import {
  daemonName,
  dataAnnotation,
  pageClaim,
  poolName,
  snapshotClass,
  storageClass,
  storageDaemon,
} from './page-objects.ts';
import { StartError } from './start-error.ts';
import type { StateFolder } from './state-folder.ts';
import { SupervisedProgram } from './supervised-program.ts';

/** A sparse file of this size is the pool: it takes the space that is written. */
const poolBytes = 8 * 1024 ** 3;

/** Each step takes a second or two on an idle machine. */
const stepTimeoutMs = 60_000;

/** What a playground tells while it starts and runs. */
export type Tell = (sentence: string) => void;

/** A volume that can be reached. */
export interface ReachableVolume {
  readonly claim: string;
  readonly volumeId: string;
  readonly nbdUri: string;
}

/** A running playground. */
export class Playground {
  readonly folder: StateFolder;
  readonly cluster: ClusterClient;
  readonly daemon: DaemonClient;
  readonly storaged: SupervisedProgram;
  readonly operator: SupervisedProgram;
  readonly #server: ApiServer;
  readonly #controllers: KubeControllers;

  private constructor(folder: StateFolder, server: ApiServer, tell: Tell) {
    this.folder = folder;
    this.#server = server;
    const log = createErrorLog(folder.logFile('api-server'));
    this.#controllers = startKubeControllers(server.state, (controller, key, error) => {
      log(`${controller} ${key}`, error);
    });
    this.cluster = new ClusterClient(server.url);
    this.daemon = new DaemonClient({ endpoint: `unix://${folder.controlSocket}` });
    this.storaged = createStoraged(folder, tell);
    this.operator = createOperator(folder, tell);
  }

  /** Starts everything but the page's objects. */
  static async start(folder: StateFolder, tell: Tell): Promise<Playground> {
    const server = await startServer(folder);
    const playground = new Playground(folder, server, tell);
    try {
      await playground.#startPrograms();
      return playground;
    } catch (error) {
      await playground.stop();
      throw error;
    }
  }

  /** Makes what the page takes for granted in a namespace: classes, the StorageDaemon and the claim with data. */
  async providePage(namespace: string): Promise<void> {
    await this.#waitForKind('StorageDaemon', 'varve.dev/v1alpha1');
    await this.#waitForKind('VolumeSnapshotClass', 'snapshot.storage.k8s.io/v1');
    await this.cluster.apply(storageClass);
    await this.cluster.apply(snapshotClass);
    const daemon = storageDaemon(this.folder.controlSocket);
    await this.cluster.apply(daemon);
    await this.cluster.waitFor(nameOf(daemon), {
      what: `StorageDaemon "${daemonName}" to be ready`,
      isReached: (object) => hasCondition(object, 'Ready'),
      timeoutMs: stepTimeoutMs,
    });
    const claim = pageClaim(namespace);
    if ((await this.cluster.find(nameOf(claim))) === undefined) await this.cluster.apply(claim);
    const bound = await this.waitBound(namespace, claim.metadata.name);
    if (readPath(bound, 'metadata', 'annotations', dataAnnotation) !== undefined) return;
    const { volumeId } = await this.volumeOf(bound);
    await fillClaim(this.folder.nbdSocket, `volume/${volumeId}`);
    await this.cluster.merge(nameOf(claim), {
      metadata: { annotations: { [dataAnnotation]: 'true' } },
    });
  }

  /** Waits until a claim is bound; returns it. */
  async waitBound(namespace: string, name: string): Promise<JsonObject> {
    const object = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name };
    const bound = await this.cluster.waitFor(object, {
      what: `PersistentVolumeClaim "${name}" to be bound`,
      isReached: (claim) => readPath(claim, 'status', 'phase') === 'Bound',
      timeoutMs: stepTimeoutMs,
    });
    return bound ?? {};
  }

  /** The volume behind a bound claim. */
  async volumeOf(claim: JsonObject): Promise<ReachableVolume> {
    const volumeName = textOf(readPath(claim, 'spec', 'volumeName'));
    const volume = await this.cluster.find({
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      name: volumeName,
    });
    const handle = textOf(readPath(volume, 'spec', 'csi', 'volumeHandle'));
    const volumeId = handle.slice(handle.indexOf('/') + 1);
    return {
      claim: textOf(readPath(claim, 'metadata', 'name')),
      volumeId,
      nbdUri: this.folder.nbdUri(`volume/${volumeId}`),
    };
  }

  /** All bound claims of a namespace with their volumes. */
  async reachableVolumes(namespace: string): Promise<ReachableVolume[]> {
    const claims = await this.cluster.list({
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      namespace,
    });
    const bound = claims.filter((claim) => readPath(claim, 'status', 'phase') === 'Bound');
    return Promise.all(bound.map((claim) => this.volumeOf(claim)));
  }

  /** Ends everything, in order; may be called twice. */
  async stop(): Promise<void> {
    await this.operator.stop();
    await this.storaged.stop();
    await this.daemon.close();
    this.#controllers.close();
    await this.#server.close();
    this.folder.close();
  }

  async #startPrograms(): Promise<void> {
    this.storaged.start();
    this.operator.start();
    await this.#waitForDaemon();
    await this.daemon.putPool(poolName, {
      devices: [{ path: this.folder.poolFile, sizeBytes: poolBytes }],
    });
  }

  async #waitForDaemon(): Promise<void> {
    const deadlineMs = Date.now() + stepTimeoutMs;
    for (;;) {
      try {
        await this.daemon.getReadiness({ timeoutMs: 2000 });
        return;
      } catch (error) {
        if (Date.now() < deadlineMs) {
          await new Promise((resolve) => setTimeout(resolve, 50));
          continue;
        }
        const { message } = error as Error;
        throw new StartError(this.storaged.name, message, this.folder.logFile(this.storaged.name));
      }
    }
  }

  /** The operator installs its kinds when it starts. */
  async #waitForKind(kind: string, apiVersion: string): Promise<void> {
    const { registry, store } = this.#server.state;
    const isServed = (): boolean => registry.findKind(apiVersion, kind) !== undefined;
    if (isServed()) return;
    await new Promise<void>((resolve, reject) => {
      const timeout = setTimeout(() => {
        unsubscribe();
        const { name } = this.operator;
        const why = `it has not installed ${kind} in ${stepTimeoutMs / 1000} s`;
        reject(new StartError(name, why, this.folder.logFile(name)));
      }, stepTimeoutMs);
      const unsubscribe = store.subscribe(() => {
        if (!isServed()) return;
        unsubscribe();
        clearTimeout(timeout);
        resolve();
      });
    });
  }
}

async function startServer(folder: StateFolder): Promise<ApiServer> {
  const settings = folder.readSettings();
  const log = createErrorLog(folder.logFile('api-server'));
  const start = async (port: number): Promise<ApiServer> =>
    startApiServer({
      listen: { port },
      stateDirectory: folder.objectsFolder,
      kubeconfigFile: folder.kubeconfigFile,
      onInternalError: (error) => log('request', error),
    });
  let server: ApiServer;
  try {
    server = await start(settings.port);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    server = await start(0);
  }
  folder.writeSettings({ port: Number(new URL(server.url).port) });
  return server;
}

function createErrorLog(file: string): (what: string, error: unknown) => void {
  return (what, error) => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    appendFileSync(file, `${new Date().toISOString()} ${what}: ${text}\n`);
  };
}

function programMain(workspace: string): string {
  return fileURLToPath(new URL(`../../../${workspace}/dist/main.js`, import.meta.url));
}

function createStoraged(folder: StateFolder, tell: Tell): SupervisedProgram {
  const name = 'varve-storaged';
  return new SupervisedProgram({
    name,
    main: programMain('storage-daemon'),
    args: [
      `--name=${daemonName}`,
      `--state-folder=${folder.daemonFolder}`,
      `--listen=unix://${folder.controlSocket}`,
      `--nbd-listen=unix://${folder.nbdSocket}`,
    ],
    logFile: folder.logFile(name),
    onUnexpectedEnd: (how) => tell(`${name} ended (${how}); it is started again.`),
  });
}

function createOperator(folder: StateFolder, tell: Tell): SupervisedProgram {
  const name = 'varve-operator';
  return new SupervisedProgram({
    name,
    main: programMain('operator'),
    args: [`--kubeconfig=${folder.kubeconfigFile}`, '--leader-election=off'],
    logFile: folder.logFile(name),
    onUnexpectedEnd: (how) => tell(`${name} ended (${how}); it is started again.`),
  });
}

/** Whether the object has the condition, and it is True. */
export function hasCondition(object: JsonObject | undefined, type: string): boolean {
  const conditions = (readPath(object, 'status', 'conditions') ?? []) as readonly JsonObject[];
  return conditions.some((each) => each['type'] === type && each['status'] === 'True');
}
