import { systemClock } from '@varve/common/clock';
import type { Clock } from '@varve/common/clock';
import { silentLogger } from '@varve/common/logger';
import type { Logger } from '@varve/common/logger';
import { Registry } from 'prom-client';
import { ApiConnection, apiConnectionDefaults } from '../kube/http/api-connection.ts';
import type { ApiConnectionOptions } from '../kube/http/api-connection.ts';
import { KubeMetrics } from '../kube/kube-metrics.ts';
import type { Resource } from '../kube/resource.ts';
import { RestKubeClient, restKubeClientDefaults } from '../kube/http/rest-kube-client.ts';
import type { ScriptedApiServer } from './scripted-api-server.ts';

/** The kind of {@link thing}. */
export const things: Resource = {
  group: 'example.dev',
  version: 'v1',
  plural: 'things',
  kind: 'Thing',
  isNamespaced: false,
};

/** What the machinery's parts are built from in tests. */
export interface TestParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly registry: Registry;
  readonly metrics: KubeMetrics;
  readonly connection: ApiConnection;
  readonly client: RestKubeClient;
}

/** A real client of a scripted server, with everything around it. */
export function testParts(
  server: ScriptedApiServer,
  overrides: Partial<ApiConnectionOptions> = {},
): TestParts {
  const clock = systemClock;
  const registry = new Registry();
  const metrics = new KubeMetrics(registry);
  const connection = new ApiConnection(
    {
      kubeConfig: server.kubeConfig(),
      userAgent: 'varve-test',
      ...apiConnectionDefaults,
      ...overrides,
    },
    { clock },
  );
  const client = new RestKubeClient(
    { fieldManager: 'varve-test', ...restKubeClientDefaults },
    { connection, clock, metrics },
  );
  return { clock, log: silentLogger(), registry, metrics, connection, client };
}

/** Collects values and lets a test wait for the next one. */
export class Mailbox<T> {
  readonly #values: T[] = [];
  readonly #waiters: ((value: T) => void)[] = [];

  put(value: T): void {
    const waiter = this.#waiters.shift();
    if (waiter === undefined) this.#values.push(value);
    else waiter(value);
  }

  async next(): Promise<T> {
    const [value] = this.#values.splice(0, 1);
    return value ?? (await new Promise((resolve) => this.#waiters.push(resolve)));
  }

  /** How many values nobody has waited for. */
  get size(): number {
    return this.#values.length;
  }
}
