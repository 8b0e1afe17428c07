/** A served store for tests of exports: volumes over real sockets, in this process. */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { BlockDevice } from '../device/block-device.ts';
import { openFileDevice } from '../device/file-device.ts';
import { openUringDevice } from '../device/uring-device.ts';
import { Connections } from '../reactor/connections.ts';
import { createReactorEnvironment } from '../reactor/control/reactor-environment.ts';
import { createTransport } from '../reactor/nbd-transport.ts';
import { formatStore } from '../store/format-store.ts';
import { openStore } from '../store/open-store.ts';
import type { NodeName, Store } from '../store/store-api.ts';
import { bytesToBlocks } from '../units.ts';
import { type IoRing, openIoRing } from '../uring/io-ring.ts';
import { RingRefusedError } from '../uring/ring-refused-error.ts';
import { VolumeTable } from '../volume/volume-table.ts';

const poolBytes = 4 * 1024 ** 3;

/** What moves bytes: Node's own sockets and files, or a ring. */
export type TestTransport = 'node' | 'io_uring';

/** Those that this machine permits. */
export const testTransports: readonly TestTransport[] = isRingPermitted()
  ? ['node', 'io_uring']
  : ['node'];

function isRingPermitted(): boolean {
  try {
    openIoRing().loop.close();
    return true;
  } catch (error) {
    if (error instanceof RingRefusedError) return false;
    throw error;
  }
}

/** The store that tests of exports run on: the one place to exchange it. */
async function openTestStore(
  folder: string,
  ioRing: IoRing | undefined,
): Promise<{ store: Store; device: BlockDevice }> {
  const path = join(folder, 'pool');
  writeFileSync(path, '');
  truncateSync(path, poolBytes);
  const device = ioRing ? openUringDevice(path, ioRing) : openFileDevice(path);
  const environment = createReactorEnvironment({ event: () => {}, log: () => {} });
  const dependencies = { devices: [device], environment };
  const poolUuid = environment.randomUuid();
  await formatStore({ poolName: 'test', poolUuid, geometry: {} }, dependencies);
  return { store: await openStore({}, dependencies), device };
}

type ServerParts = Pick<
  NbdTestServer,
  'store' | 'volumes' | 'connections' | 'folder' | 'logs' | 'tcpUri'
>;

/** A running server. `close` ends it and removes its folder. */
export class NbdTestServer {
  readonly store: Store;
  readonly volumes: VolumeTable;
  readonly connections: Connections;
  /** For the pool's file, and for images of the test. */
  readonly folder: string;
  readonly logs: string[];
  /** Where it listens on loopback. */
  readonly tcpUri: string;
  readonly #device: BlockDevice;
  readonly #ioRing: IoRing | undefined;

  private constructor(
    fields: ServerParts,
    { device, ioRing }: { device: BlockDevice; ioRing: IoRing | undefined },
  ) {
    this.store = fields.store;
    this.volumes = fields.volumes;
    this.connections = fields.connections;
    this.folder = fields.folder;
    this.logs = fields.logs;
    this.tcpUri = fields.tcpUri;
    this.#device = device;
    this.#ioRing = ioRing;
  }

  static async start(transport: TestTransport = 'node'): Promise<NbdTestServer> {
    const folder = mkdtempSync(join(tmpdir(), 'varve-nbd-'));
    const ioRing = transport === 'io_uring' ? openIoRing() : undefined;
    const { store, device } = await openTestStore(folder, ioRing);
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
    const connections = new Connections({ volumes, log, transport: createTransport(ioRing) });
    const addresses = await connections.listen([
      { kind: 'unix', path: join(folder, 'nbd.sock') },
      { kind: 'tcp', host: '127.0.0.1', port: 0 },
    ]);
    return new NbdTestServer(
      { store, volumes, connections, folder, logs, tcpUri: addresses[1]!.uri },
      { device, ioRing },
    );
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
    await this.#device.close();
    this.#ioRing?.loop.close();
    rmSync(this.folder, { recursive: true });
  }
}
