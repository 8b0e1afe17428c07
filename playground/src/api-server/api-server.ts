/**
 * The embedded API server: a subset of Kubernetes' API that is served as Kubernetes serves it. See the README
 * beside this file for what it has and what it refuses.
 */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { CustomResourceLifecycle } from './custom-resource-lifecycle.ts';
import { startEventSweeper } from './event-sweeper.ts';
import { HttpServer } from './http/http-server.ts';
import type { Interceptor } from './http/interception.ts';
import { formatKubeconfig } from './http/kubeconfig.ts';
import { createObject, isAlreadyExists } from './operations/create.ts';
import { internalWriteOptions, type ServerState } from './operations/server-state.ts';
import { builtInDefinitions } from './registry/builtin/all-kinds.ts';
import { initialNamespaces } from './registry/builtin/namespaces.ts';
import { Registry } from './registry/registry.ts';
import { Router } from './requests/router.ts';
import { ModelSchemas } from './schema/model-schemas.ts';
import { ObjectStore } from './storage/object-store.ts';
import { StateLog } from './storage/state-log.ts';

/** How to start a server; everything has a default. */
export interface ApiServerOptions {
  /**
   * Where to listen: loopback, and a port that the kernel chooses. Any other host than a loopback address is
   * refused.
   */
  readonly listen?: { readonly host?: '127.0.0.1' | '::1'; readonly port?: number };
  /** Where objects are kept; without it they live in memory. */
  readonly stateDirectory?: string;
  /** The bearer token that requests must carry; without it anybody on this machine is served. */
  readonly token?: string;
  /** Where to write a kubeconfig (mode 0600). */
  readonly kubeconfigFile?: string;
  /** Lets tests make chosen requests fail. */
  readonly intercept?: Interceptor;
  readonly now?: () => Date;
  /** Is told of bugs that a request met, which the client sees as 500. */
  readonly onInternalError?: (error: unknown) => void;
}

/** A server that runs. */
export interface ApiServer {
  readonly url: string;
  /** The text of a kubeconfig that leads to it. */
  readonly kubeconfig: string;
  /** Its state, for controllers in the same process. */
  readonly state: ServerState;
  /** Forgets the history, so that watches and lists from before now get 410. */
  compactHistory(): void;
  /** Cuts all connections, as a crash would; clients reconnect. */
  destroyConnections(): void;
  close(): Promise<void>;
}

/** Starts a server; it serves when the promise resolves. */
export async function startApiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  const models = new ModelSchemas();
  const log =
    options.stateDirectory === undefined ? undefined : new StateLog(options.stateDirectory);
  const state: ServerState = {
    store: new ObjectStore(log),
    registry: new Registry(builtInDefinitions(models)),
    now: options.now ?? (() => new Date()),
  };
  const lifecycle = new CustomResourceLifecycle(state, models.get('V1ObjectMeta'));
  createInitialNamespaces(state);
  const stopSweeper = startEventSweeper(state);
  let address = '';
  const http = new HttpServer(options.token, {
    router: new Router(state, models, () => address),
    intercept: options.intercept,
    onInternalError: options.onInternalError ?? rethrowLater,
  });
  const host = options.listen?.host ?? '127.0.0.1';
  const { port } = await http.listen(host, options.listen?.port ?? 0);
  address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  const url = `http://${address}`;
  const kubeconfig = formatKubeconfig({ url, token: options.token, name: 'varve-playground' });
  if (options.kubeconfigFile !== undefined) writeKubeconfig(options.kubeconfigFile, kubeconfig);
  return {
    url,
    kubeconfig,
    state,
    compactHistory: () => state.store.compact(),
    destroyConnections: () => http.destroyConnections(),
    close: async () => {
      stopSweeper();
      await http.close();
      lifecycle.close();
      state.store.close();
    },
  };
}

/** Without somebody who is told, a bug must not pass in silence. */
function rethrowLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}

function createInitialNamespaces(state: ServerState): void {
  const definition = state.registry.find('', 'v1', 'namespaces');
  if (definition === undefined) return;
  for (const name of initialNamespaces) {
    try {
      const body = { metadata: { name } };
      const collection = { definition, namespace: undefined };
      createObject(state, collection, body, internalWriteOptions('apiserver'));
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
  }
}

function writeKubeconfig(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text, { mode: 0o600 });
  chmodSync(file, 0o600);
}
