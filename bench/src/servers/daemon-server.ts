/** Our side: the built program as users start it, with a pool on a file in memory. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { DaemonClient } from '@varve/contract/client/daemon-client';

import type { RowContext } from '../harness/row.ts';
import type { BlockServer } from './block-server.ts';
import { ServerProcess } from './server-process.ts';

const program = fileURLToPath(import.meta.resolve('@varve/storage-daemon/main'));
/** Room for what snapshots keep, and for the pool's own share. */
const poolBytesPerDataByte = 6;
const poolName = 'bench';

/** A daemon, its pool and its volumes. */
export class DaemonServer {
  readonly client: DaemonClient;
  readonly #context: RowContext;
  readonly #stateFolder: string;
  #server: ServerProcess;

  private constructor(context: RowContext) {
    this.#context = context;
    this.#stateFolder = join(context.directory, 'state');
    mkdirSync(this.#stateFolder, { recursive: true });
    this.client = new DaemonClient({ endpoint: `unix://${this.#stateFolder}/daemon.sock` });
    this.#server = this.#start();
  }

  /** Starts a daemon and makes its pool. */
  static async start(context: RowContext): Promise<DaemonServer> {
    const daemon = new DaemonServer(context);
    try {
      await daemon.#untilReady();
      const path = join(context.directory, 'pool.img');
      const sizeBytes = poolBytesPerDataByte * context.dataBytes;
      await daemon.client.putPool(poolName, { devices: [{ path, sizeBytes }] });
      return daemon;
    } catch (error) {
      await daemon.close();
      throw error;
    }
  }

  /** Its process now; another one after a restart. */
  get pid(): number {
    return this.#server.pid;
  }

  /** Makes a volume. */
  async createVolume(id: string, sizeBytes: number): Promise<void> {
    await this.client.putVolume(id, { pool: poolName, sizeBytes, labels: {} });
  }

  /** Where an export is reached, e.g. `volume/a`. */
  async exportUri(name: string): Promise<string> {
    const { exports } = await this.client.getInfo();
    const base = exports.find(({ uri }) => uri.startsWith('nbd://'));
    if (!base)
      throw new Error('Finding where the daemon exports failed: it listens on no TCP port');
    return `${base.uri}/${name}`;
  }

  /** Kills it as a crash would and starts it again; answers the seconds until it serves. */
  async restartAfterKill(): Promise<number> {
    await this.#server.kill();
    const startMs = performance.now();
    this.#server = this.#start();
    await this.#untilReady();
    return (performance.now() - startMs) / 1000;
  }

  async close(): Promise<void> {
    await this.client.destroy();
    await this.#server.stop();
  }

  #start(): ServerProcess {
    const listen = ['--nbd-listen', 'tcp://127.0.0.1:0'];
    const flags = ['--state-folder', this.#stateFolder, ...listen, '--log-level', 'warn'];
    const { printCommand } = this.#context;
    return new ServerProcess([process.execPath, program, ...flags], printCommand);
  }

  async #untilReady(): Promise<void> {
    await this.#server.untilReady(async () => {
      try {
        await this.client.getReadiness();
        return true;
      } catch {
        return false;
      }
    });
  }
}

/** A daemon with one volume, as a block server. */
export async function startDaemonVolume(context: RowContext): Promise<BlockServer> {
  const daemon = await DaemonServer.start(context);
  await daemon.createVolume('volume', context.dataBytes);
  const uri = await daemon.exportUri('volume/volume');
  return { name: 'varve', uri, pid: daemon.pid, close: () => daemon.close() };
}
