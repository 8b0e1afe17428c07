/** A daemon for tests: in a folder of its own, reached over its unix socket. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type Logger, silentLogger } from '@varve/common/logger';
import { DaemonClient } from '@varve/contract/client/daemon-client';
import type { Event } from '@varve/contract/event';

import type { DaemonConfig } from '../config.ts';
import { type Daemon, startDaemon } from '../daemon.ts';
import { rawRequest } from './raw-request.ts';

/** Bytes of a pool that is just large enough. */
export const testPoolBytes = 256 * 1024 * 1024;

/** What a test may want otherwise. */
export interface TestDaemonOptions {
  readonly config?: Partial<DaemonConfig>;
  readonly logger?: Logger;
  readonly onCrash?: (error: unknown) => void;
  readonly reactorEntry?: URL;
}

/** A daemon and a client of it. */
export class TestDaemon {
  readonly folder: string;
  readonly client: DaemonClient;
  readonly #options: TestDaemonOptions;
  #daemon: Daemon | undefined;

  private constructor(folder: string, options: TestDaemonOptions) {
    this.folder = folder;
    this.#options = options;
    this.client = new DaemonClient({ endpoint: `unix://${join(folder, 'state', 'daemon.sock')}` });
  }

  static async start(options: TestDaemonOptions = {}): Promise<TestDaemon> {
    const folder = mkdtempSync(join(tmpdir(), 'varve-daemon-'));
    const made = new TestDaemon(folder, options);
    try {
      await made.restart();
    } catch (error) {
      await made.end();
      throw error;
    }
    return made;
  }

  /** The running daemon. */
  get daemon(): Daemon {
    if (!this.#daemon) throw new Error('the daemon does not run');
    return this.#daemon;
  }

  /** Stops it, if it runs, and starts it anew on the same folder; `changes` are for this start. */
  async restart(changes: Partial<DaemonConfig> = {}): Promise<void> {
    await this.stop();
    const { config, logger, onCrash, reactorEntry } = this.#options;
    const stateFolder = join(this.folder, 'state');
    this.#daemon = await startDaemon(
      {
        stateFolder,
        name: 'test-daemon',
        listen: [{ kind: 'unix', path: join(stateFolder, 'daemon.sock') }],
        nbdListen: [],
        nvmeListen: [],
        tokenFile: undefined,
        tlsCertificateFile: undefined,
        tlsKeyFile: undefined,
        mapMemoryBytes: undefined,
        deallocateBytesPerSecond: 2 ** 29,
        tlsClientAuthorityFile: undefined,
        clientRolesFile: undefined,
        ioEngine: 'auto',
        reactors: 1,
        logLevel: 'silent',
        ...config,
        ...changes,
      },
      {
        logger: logger ?? silentLogger(),
        reactorEntry: reactorEntry ?? new URL('../reactor/reactor.js', import.meta.url),
        onCrash:
          onCrash ??
          ((error) => {
            throw error;
          }),
      },
    );
  }

  /** Stops it as SIGTERM would. */
  async stop(): Promise<void> {
    await this.#daemon?.close();
    this.#daemon = undefined;
  }

  /** Makes a pool on a sparse file. */
  async createPool(pool = 'pool-1'): Promise<void> {
    await this.client.putPool(pool, {
      devices: [{ path: join(this.folder, `${pool}.img`), sizeBytes: testPoolBytes }],
    });
  }

  /** Opens the event stream; resolves once the daemon knows of it, so that no later event is missed. */
  async openEvents(): Promise<AsyncGenerator<Event>> {
    const stream = this.client.events();
    const first = stream.next();
    const hasStream = async (): Promise<boolean> =>
      (await this.scrape()).includes('varve_event_streams 1\n');
    while (!(await hasStream())) continue;
    return (async function* (): AsyncGenerator<Event> {
      const { done, value } = await first;
      if (done !== true) yield value;
      yield* stream;
    })();
  }

  /** The page for Prometheus. */
  async scrape(): Promise<string> {
    return (await rawRequest(this.daemon.endpoints[0]!, { method: 'GET', path: '/metrics' })).text;
  }

  /** Stops it and removes its folder. */
  async end(): Promise<void> {
    await this.client.destroy();
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
