/** A served store for tests of exports: volumes over real sockets, in this process. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Connections } from '../reactor/connections.ts';
import type { NodeName, Store } from '../store/store-api.ts';
import { bytesToBlocks } from '../units.ts';
import { VolumeTable } from '../volume/volume-table.ts';
import { MemoryStore } from './memory-store.ts';

const poolBytes = 8 * 1024 ** 3;

/** The store that tests of exports run on: the one place to exchange it. */
async function openTestStore(): Promise<Store> {
  return new MemoryStore({ poolName: 'test', sizeBlocks: bytesToBlocks(poolBytes) });
}

/** A running server. `close` ends it and removes its folder. */
export class NbdTestServer {
  readonly store: Store;
  readonly volumes: VolumeTable;
  readonly connections: Connections;
  /** Empty at first; for images and scripts of the test. */
  readonly folder: string;
  readonly logs: string[];

  private constructor(
    fields: Pick<NbdTestServer, 'store' | 'volumes' | 'connections' | 'folder' | 'logs'>,
  ) {
    this.store = fields.store;
    this.volumes = fields.volumes;
    this.connections = fields.connections;
    this.folder = fields.folder;
    this.logs = fields.logs;
  }

  static async start(): Promise<NbdTestServer> {
    const store = await openTestStore();
    const folder = mkdtempSync(join(tmpdir(), 'varve-nbd-'));
    const logs: string[] = [];
    const volumes = new VolumeTable({
      clockMs: () => performance.now(),
      nodes: {
        find: (node) => {
          const summary = store.find(node);
          return summary && { sizeBlocks: summary.sizeBlocks, openIo: () => store.openIo(node) };
        },
        list: () => [...store.list('volume'), ...store.list('snapshot')],
      },
    });
    const log = (_level: string, message: string) => void logs.push(message);
    const connections = new Connections({ volumes, log });
    await connections.listen([
      { kind: 'unix', path: join(folder, 'nbd.sock') },
      { kind: 'tcp', host: '127.0.0.1', port: 0 },
    ]);
    return new NbdTestServer({ store, volumes, connections, folder, logs });
  }

  get socketPath(): string {
    return join(this.folder, 'nbd.sock');
  }

  /** The address of an export over the unix socket. */
  uri({ kind, name }: NodeName): string {
    return `nbd+unix:///${kind}/${name}?socket=${this.socketPath}`;
  }

  async createVolume(name: string, sizeBytes: number): Promise<NodeName> {
    const uuid = crypto.getRandomValues(new Uint8Array(16));
    const sizeBlocks = bytesToBlocks(sizeBytes);
    await this.store.createVolume({ name, uuid, sizeBlocks, attributes: '{}' });
    return { kind: 'volume', name };
  }

  async createSnapshot(name: string, volume: string): Promise<NodeName> {
    const uuid = crypto.getRandomValues(new Uint8Array(16));
    await this.store.createSnapshot({ name, uuid, volume, attributes: '{}' });
    return { kind: 'snapshot', name };
  }

  async createClone(name: string, snapshot: string): Promise<NodeName> {
    const uuid = crypto.getRandomValues(new Uint8Array(16));
    const source = { kind: 'snapshot', name: snapshot } as const;
    const { sizeBlocks } = this.store.find(source)!;
    await this.store.createClone({ name, uuid, source, sizeBlocks, attributes: '{}' });
    return { kind: 'volume', name };
  }

  async close(): Promise<void> {
    await this.connections.close();
    await this.volumes.closeAll('the test is over');
    await this.store.close();
    rmSync(this.folder, { recursive: true });
  }
}
