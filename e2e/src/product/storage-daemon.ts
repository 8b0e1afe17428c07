/**
 * A `varve-storaged` process with a pool on a sparse file: started, killed and restarted as a machine's init
 * system would.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DaemonClient } from '@varve/contract/client/daemon-client';
import type { Pool } from '@varve/contract/pool';
import { ManagedProcess, type ProcessExit } from '../process/managed-process.ts';
import { programs } from './programs.ts';
import { tryCommand, type CommandResult } from '../process/run-command.ts';
import { waitUntil } from '../process/wait-until.ts';

const startTimeoutMs = 60_000;
const disconnectTimeoutMs = 10_000;
/** The pool's name at the daemon. */
const poolName = 'pool';

/** Name, folder and pool size. */
export interface StorageDaemonOptions {
  readonly name: string;
  readonly directory: string;
  readonly poolBytes: number;
  /** Also serves REST on this port of the loopback interface, for callers with the token of the file. */
  readonly tcp?: { readonly port: number; readonly tokenFile: string };
  /** Also serves NVMe/TCP on this port of the loopback interface. */
  readonly nvmePort?: number;
}

/** What a daemon holds. */
export interface DaemonContent {
  readonly volumes: readonly string[];
  readonly snapshots: readonly string[];
}

/** One storage daemon with its pool file. */
export class StorageDaemon {
  /** The name of its StorageDaemon object. */
  readonly name: string;
  readonly poolFile: string;
  readonly controlSocket: string;
  readonly nbdSocket: string;
  readonly client: DaemonClient;
  readonly #options: StorageDaemonOptions;
  #process: ManagedProcess | undefined;

  constructor(options: StorageDaemonOptions) {
    this.#options = options;
    this.name = options.name;
    this.poolFile = join(options.directory, 'pool.img');
    this.controlSocket = join(options.directory, 'daemon.sock');
    this.nbdSocket = join(options.directory, 'nbd.sock');
    this.client = new DaemonClient({ endpoint: `unix://${this.controlSocket}` });
  }

  /** Starts the process and waits until it serves: its pools are open and it takes calls. */
  async start(): Promise<void> {
    assert.ok(this.#process === undefined || this.#process.exit !== undefined, 'it does not run');
    this.#process = new ManagedProcess({
      name: 'varve-storaged',
      command: process.execPath,
      args: ['--enable-source-maps', programs.storageDaemon, ...this.#arguments()],
      logFile: join(this.#options.directory, 'varve-storaged.log'),
    });
    await this.#process.waitUntil(
      'varve-storaged to be ready',
      async () => {
        await this.client.getReadiness({ timeoutMs: 2000 });
        return true;
      },
      startTimeoutMs,
    );
  }

  /** Ends it as a crash would, in the middle of whatever it does. */
  async kill(): Promise<void> {
    await this.#process?.kill();
  }

  /** Asks it to stop: it drains and writes a checkpoint. */
  async stop(): Promise<ProcessExit> {
    assert.ok(this.#process !== undefined, 'it was started');
    return this.#process.stop();
  }

  logTail(): string {
    return this.#process?.logTail() ?? '';
  }

  /** Formats the pool file; it is sparse, so its size costs nothing. */
  async createPool(): Promise<void> {
    await this.client.putPool(poolName, {
      devices: [{ path: this.poolFile, sizeBytes: this.#options.poolBytes }],
    });
  }

  /** The pool with its sizes. */
  async pool(): Promise<Pool> {
    return this.client.getPool(poolName);
  }

  /** The StorageDaemon object that tells a cluster of it. */
  manifest(): object {
    return {
      apiVersion: 'varve.dev/v1alpha1',
      kind: 'StorageDaemon',
      metadata: { name: this.name },
      spec: { endpoint: `unix://${this.controlSocket}` },
    };
  }

  /** All volumes and snapshots that it holds, by id. */
  async content(): Promise<DaemonContent> {
    const volumes: string[] = [];
    for await (const volume of this.client.allVolumes()) volumes.push(volume.id);
    const snapshots: string[] = [];
    for await (const snapshot of this.client.allSnapshots()) snapshots.push(snapshot.id);
    return { volumes, snapshots };
  }

  /** Deletes volumes; a client that has just ended may still be counted as connected. */
  async deleteVolumes(...volumes: readonly string[]): Promise<void> {
    for (const volume of volumes) {
      await waitUntil(
        `volume ${volume} to be deleted`,
        async () => {
          await this.client.deleteVolume(volume);
          return true;
        },
        { timeoutMs: disconnectTimeoutMs },
      );
    }
  }

  /** Demands that it holds nothing, and that all space but metadata comes back. */
  async expectEmpty(timeoutMs: number): Promise<void> {
    assert.deepEqual(await this.content(), { volumes: [], snapshots: [] }, 'the daemon is empty');
    await waitUntil(
      'all space of the pool to be free',
      async () => {
        const pool = await this.pool();
        const leftBytes = pool.allocatedBytes - pool.metadataBytes;
        if (leftBytes > 0 || pool.referencedBytes > 0 || pool.pendingFreeBytes > 0) {
          throw new Error(
            `${leftBytes} bytes of data allocated, ${pool.referencedBytes} referenced, ` +
              `${pool.pendingFreeBytes} waiting to be freed`,
          );
        }
        return true;
      },
      { timeoutMs, explain: () => this.logTail() },
    );
  }

  /** Runs the offline checker on the pool file. The daemon must not run. */
  async inspect(): Promise<CommandResult> {
    const args = ['--enable-source-maps', programs.storageDaemon, 'inspect', this.poolFile];
    return tryCommand(process.execPath, args, { timeoutMs: 120_000 });
  }

  /** Demands that the offline checker finds every invariant kept. */
  async expectCleanPool(): Promise<void> {
    const result = await this.inspect();
    assert.equal(result.code, 0, `varve-storaged inspect: ${result.stdout}${result.stderr}`);
  }

  #arguments(): readonly string[] {
    const { name, directory, tcp, nvmePort } = this.#options;
    return [
      `--name=${name}`,
      `--state-folder=${join(directory, 'daemon-state')}`,
      `--listen=unix://${this.controlSocket}`,
      ...(tcp === undefined
        ? []
        : [`--listen=http://127.0.0.1:${tcp.port}`, `--token-file=${tcp.tokenFile}`]),
      `--nbd-listen=unix://${this.nbdSocket}`,
      ...(nvmePort === undefined ? [] : [`--nvme-listen=tcp://127.0.0.1:${nvmePort}`]),
    ];
  }
}
