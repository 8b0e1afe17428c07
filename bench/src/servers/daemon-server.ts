/** Our side: the built program as users start it, with a pool on a file in memory. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { DaemonClient } from '@varve/contract/client/daemon-client';

import type { GroupContext } from '../harness/row.ts';
import type { BlockServer } from './block-server.ts';
import { ServerProcess } from './server-process.ts';

const program = fileURLToPath(import.meta.resolve('@varve/storage-daemon/main'));
/** Room for what snapshots keep, and for the pool's own share. */
const poolBytesPerDataByte = 6;
const poolName = 'bench';

/** How the daemon's process is run. */
export interface DaemonOptions {
  /** Of Node.js. */
  readonly nodeFlags?: readonly string[];
  /** Gets what it prints, in pieces. */
  readonly onOutput?: (text: string) => void;
  readonly listensForNvme?: boolean;
}

/** A daemon, its pool and its volumes. */
export class DaemonServer {
  readonly client: DaemonClient;
  readonly #context: GroupContext;
  readonly #options: DaemonOptions;
  readonly #stateFolder: string;
  #server: ServerProcess;

  private constructor(context: GroupContext, options: DaemonOptions) {
    this.#context = context;
    this.#options = options;
    this.#stateFolder = join(context.directory, 'state');
    mkdirSync(this.#stateFolder, { recursive: true });
    this.client = new DaemonClient({ endpoint: `unix://${this.#stateFolder}/daemon.sock` });
    this.#server = this.#start();
  }

  /** Starts a daemon and makes its pool. */
  static async start(context: GroupContext, options: DaemonOptions = {}): Promise<DaemonServer> {
    const daemon = new DaemonServer(context, options);
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

  /** Kills it as a crash would and starts it again; resolves when it serves. */
  async restartAfterKill(): Promise<void> {
    await this.#server.kill();
    this.#server = this.#start();
    await this.#untilReady();
  }

  async close(): Promise<void> {
    await this.client.destroy();
    await this.#server.stop();
  }

  #start(): ServerProcess {
    const address = 'tcp://127.0.0.1:0';
    const nvme = this.#options.listensForNvme === true ? ['--nvme-listen', address] : [];
    const listen = ['--nbd-listen', address, ...nvme];
    const flags = ['--state-folder', this.#stateFolder, ...listen, '--log-level', 'warn'];
    const { printCommand } = this.#context;
    const { nodeFlags = [], onOutput } = this.#options;
    const command = [process.execPath, ...nodeFlags, program, ...flags];
    return new ServerProcess(command, printCommand, onOutput);
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
export async function startDaemonVolume(
  context: GroupContext,
  options: DaemonOptions = {},
): Promise<BlockServer> {
  const daemon = await DaemonServer.start(context, options);
  await daemon.createVolume('volume', context.dataBytes);
  const uri = await daemon.exportUri('volume/volume');
  return { name: 'varve', uri, pid: daemon.pid, close: () => daemon.close() };
}
