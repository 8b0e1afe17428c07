/** Ledgers at real daemons, over their REST API: one client each, kept. */
import { DaemonClient, type DaemonClientOptions } from '@varve/contract/client/daemon-client';
import { ProblemError } from '@varve/contract/problem';
import type { FilesystemLedger, FilesystemLedgers } from './filesystem-ledger.ts';

/** kubelet waits 2 minutes for a call, in which the rest must find its place too. */
const callTimeoutMs = 15_000;
/** A cluster has far fewer daemons; an endpoint comes from an object that somebody wrote. */
const clientsMax = 1000;

/** How the plugin proves itself. */
export type DaemonCredentials = Pick<
  DaemonClientOptions,
  'token' | 'certificateAuthority' | 'clientCertificate'
>;

/** Clients by endpoint. */
export class DaemonLedgers {
  readonly #clients = new Map<string, DaemonClient>();
  /** Read for each new client: files are replaced while the plugin runs. */
  readonly #credentials: () => DaemonCredentials;
  readonly #userAgent: string;

  constructor(credentials: () => DaemonCredentials, userAgent: string) {
    this.#credentials = credentials;
    this.#userAgent = userAgent;
  }

  /** The ledger of one daemon. */
  readonly open: FilesystemLedgers = (endpoint) => {
    const client = this.#clientOf(endpoint);
    const ledger: FilesystemLedger = {
      read: async (volume) => client.getFilesystem(volume),
      write: async (volume, state, type) => {
        await client.putFilesystem(volume, { state, type });
      },
    };
    return ledger;
  };

  /** Ends all connections. May be called twice. */
  async close(): Promise<void> {
    const clients = [...this.#clients.values()];
    this.#clients.clear();
    await Promise.all(clients.map(async (client) => client.destroy()));
  }

  #clientOf(endpoint: string): DaemonClient {
    const known = this.#clients.get(endpoint);
    if (known !== undefined) return known;
    if (this.#clients.size >= clientsMax) {
      throw new ProblemError('unavailable', `Calling ${endpoint} failed: too many daemons`);
    }
    const userAgent = this.#userAgent;
    const options = { endpoint, userAgent, timeoutMs: callTimeoutMs, ...this.#credentials() };
    const client = new DaemonClient(options);
    this.#clients.set(endpoint, client);
    return client;
  }
}
