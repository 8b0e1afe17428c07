/**
 * Keeps one client for each StorageDaemon object. A client is made when it is asked for, and made anew when
 * the object's endpoint or the content of its Secret changes; the old one finishes what it has under way.
 * Secrets are read when needed and again after a while, never watched, logged or shown.
 */
import type { Clock } from '@varve/common/clock';
import type { Logger } from '@varve/common/logger';
import type { DaemonClient } from '@varve/contract/client/daemon-client';
import { ProblemError } from '@varve/contract/problem';
import { isNotFound } from '../kube/api-errors.ts';
import type { Secret } from '../kube/core-kinds.ts';
import type { KubeClient } from '../kube/kube-client.ts';
import type { Listers } from '../kube/lister.ts';
import { secrets, storageDaemons } from '../kube/resource.ts';
import type { StorageDaemon } from '../kube/storage-daemon-kind.ts';
import { CallLimiter, callLimiterDefaults } from './call-limiter.ts';
import type { DaemonMetrics } from './daemon-metrics.ts';
import type { Daemons } from './daemons.ts';
import { ObservedDaemonClient } from './observed-daemon-client.ts';

/** A rotated token is used after this at the latest. */
const secretAgeMsMax = 60_000;
/** Reason of the Ready condition that keeps every caller away from a daemon; see `clientOf`. */
export const identityChangedReason = 'IdentityChanged';

/** Reason of the Ready condition of a daemon that nobody needs to call until it answers again. */
export const unreachableReason = 'Unreachable';

/**
 * For one call, all its sends included. A daemon answers within milliseconds, or hangs; what it did meanwhile is found
 * by the same call again.
 */
const callTimeoutMs = 10_000;

/** Field of the problem when the Secret cannot be read: not the daemon refused, it was never asked. */
export const credentialsField = 'spec.credentials.secretRef';

/** What the registry needs. */
export interface DaemonRegistryDependencies {
  readonly client: KubeClient;
  readonly listers: Listers;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: DaemonMetrics;
}

interface Entry {
  /** Everything that the client was made from but the Secret's content. */
  readonly origin: string;
  readonly secretVersion: string | undefined;
  readonly checkedAtMs: number;
  readonly client: DaemonClient;
}

interface Credentials {
  readonly version: string | undefined;
  readonly token?: string | undefined;
  readonly certificateAuthority?: string | undefined;
}

/** See the file's head. */
export class DaemonRegistry implements Daemons {
  readonly #dependencies: DaemonRegistryDependencies;
  readonly #entries = new Map<string, Entry>();
  /** Makings under way: whoever asks meanwhile waits for the same one. */
  readonly #opening = new Map<string, Promise<DaemonClient>>();

  constructor(dependencies: DaemonRegistryDependencies) {
    this.#dependencies = dependencies;
  }

  async clientOf(daemonName: string): Promise<DaemonClient> {
    const daemon = this.#dependencies.listers.of(storageDaemons).get(daemonName);
    if (daemon === undefined) {
      throw unavailable(daemonName, 'there is no StorageDaemon of that name');
    }
    // Another daemon than the one that has the volumes would answer that they do not exist.
    const ready = daemon.status?.conditions?.find(({ type }) => type === 'Ready');
    if (ready?.reason === identityChangedReason) throw unavailable(daemonName, ready.message);
    // Its own controller keeps asking, and wakes whoever waits. Calls that run into their time limits one after the
    // other would only keep workers from the objects of other daemons.
    const isDown = ready?.status === 'False' && ready.reason === unreachableReason;
    if (isDown && ready.observedGeneration === daemon.metadata.generation) {
      throw unavailable(daemonName, 'it does not answer; see its StorageDaemon object');
    }
    return this.probeClientOf(daemon);
  }

  /** The client of a daemon, also of one whose identity is in doubt: for finding out who it is. */
  async probeClientOf(daemon: StorageDaemon): Promise<DaemonClient> {
    const { name } = daemon.metadata;
    const entry = this.#entries.get(name);
    const nowMs = this.#dependencies.clock.monotonicMs();
    if (
      entry !== undefined &&
      entry.origin === originOf(daemon) &&
      (entry.secretVersion === undefined || nowMs - entry.checkedAtMs < secretAgeMsMax)
    ) {
      return entry.client;
    }
    const underWay = this.#opening.get(name);
    if (underWay !== undefined) return underWay;
    const opening = this.#open(daemon).finally(() => this.#opening.delete(name));
    this.#opening.set(name, opening);
    return opening;
  }

  /** Reads the Secret again before the next call: the daemon refused what it says. */
  doubt(daemonName: string): void {
    const entry = this.#entries.get(daemonName);
    if (entry === undefined) return;
    this.#entries.set(daemonName, { ...entry, checkedAtMs: Number.NEGATIVE_INFINITY });
  }

  /** The StorageDaemon object is gone. */
  forget(daemonName: string): void {
    const entry = this.#entries.get(daemonName);
    this.#entries.delete(daemonName);
    this.#retire(entry);
  }

  /** Ends all clients; calls under way are ended too. */
  async destroy(): Promise<void> {
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    await Promise.all(entries.map(async ({ client }) => client.destroy()));
  }

  async #open(daemon: StorageDaemon): Promise<DaemonClient> {
    const { name } = daemon.metadata;
    const credentials = await this.#readCredentials(daemon);
    const held = this.#entries.get(name);
    const origin = originOf(daemon);
    const checkedAtMs = this.#dependencies.clock.monotonicMs();
    const secretVersion = credentials.version;
    if (held !== undefined && held.origin === origin && held.secretVersion === secretVersion) {
      this.#entries.set(name, { ...held, checkedAtMs });
      return held.client;
    }
    const { clock, metrics } = this.#dependencies;
    const client = new ObservedDaemonClient(
      {
        endpoint: daemon.spec.endpoint,
        token: credentials.token,
        certificateAuthority: credentials.certificateAuthority,
        timeoutMs: callTimeoutMs,
        userAgent: 'varve-operator',
      },
      {
        daemon: name,
        limiter: new CallLimiter({ daemon: name, ...callLimiterDefaults }, { clock }),
        metrics,
        clock,
      },
    );
    this.#entries.set(name, { origin, secretVersion, checkedAtMs, client });
    this.#retire(held);
    return client;
  }

  async #readCredentials(daemon: StorageDaemon): Promise<Credentials> {
    const reference = daemon.spec.credentials?.secretRef;
    if (reference === undefined) return { version: undefined };
    let secret: Secret;
    try {
      secret = await this.#dependencies.client.get(secrets, reference);
    } catch (error) {
      const where = `${reference.namespace}/${reference.name}`;
      const why = isNotFound(error) ? 'it does not exist' : (error as Error).message;
      throw new ProblemError(
        'unauthenticated',
        `Reading the credentials of storage daemon "${daemon.metadata.name}" from Secret ` +
          `${where} failed: ${why}`,
        { field: credentialsField, cause: error },
      );
    }
    return {
      version: `${secret.metadata.uid}/${secret.metadata.resourceVersion}`,
      token: decode(secret.data?.['token'])?.trim(),
      certificateAuthority: decode(secret.data?.['ca.crt']),
    };
  }

  #retire(entry: Entry | undefined): void {
    entry?.client.close().catch((error: unknown) => {
      this.#dependencies.log.debug({ err: error }, 'closing a daemon client failed');
    });
  }
}

/** A new object of the same name is another origin: its volumes are others. */
function originOf(daemon: StorageDaemon): string {
  const { uid } = daemon.metadata;
  return JSON.stringify([uid, daemon.spec.endpoint, daemon.spec.credentials]);
}

function decode(value: string | undefined): string | undefined {
  return value === undefined ? undefined : Buffer.from(value, 'base64').toString('utf8');
}

function unavailable(daemonName: string, why: string): ProblemError {
  return new ProblemError('unavailable', `Reaching storage daemon "${daemonName}" failed: ${why}`);
}
