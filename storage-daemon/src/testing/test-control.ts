/** The control side of a reactor without its thread: operations are called directly, events are kept. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { PutVolume } from '@varve/contract/volume';

import type { OperationTable } from '../reactor/channel.ts';
import { createOperations } from '../reactor/control/control.ts';
import { createReactorEnvironment } from '../reactor/control/reactor-environment.ts';
import type { EventRecord } from '../reactor/messages.ts';
import type { ExportServer } from '../reactor/export-server.ts';
import { OpenPools } from '../reactor/pools/open-pools.ts';
import type { StoreEnvironment } from '../store/store-environment.ts';
import { VolumeTable } from '../volume/volume-table.ts';
import { blockStoreEngine } from '../reactor/pools/block-store-engine.ts';
import type { StoreEngine } from '../reactor/pools/store-engine.ts';
import { noExports } from './no-exports.ts';
import { testPoolBytes } from './test-daemon.ts';

const mebibyte = 1024 * 1024;

/** Operations on pools in a folder of their own. */
export class TestControl {
  readonly folder = mkdtempSync(join(tmpdir(), 'varve-control-'));
  readonly events: EventRecord[] = [];
  readonly operations: OperationTable;
  readonly pools: OpenPools;
  readonly volumes: VolumeTable;
  /** What ends the connections of a host. */
  fence: (volumeId: string, hostNqn: string) => Promise<void> = async () => undefined;
  /** Added to the time that operations see. */
  aheadMs = 0;

  constructor(engine: StoreEngine = blockStoreEngine) {
    const notices = {
      event: (event: EventRecord) => void this.events.push(event),
      log: () => undefined,
    };
    const real = createReactorEnvironment(notices);
    const environment: StoreEnvironment = { ...real, nowMs: () => real.nowMs() + this.aheadMs };
    this.pools = new OpenPools(engine, environment);
    this.volumes = new VolumeTable({ nodes: this.pools.asNodeFinder(), clockMs: () => 0 });
    const { pools, volumes } = this;
    const exports: ExportServer = { ...noExports, fence: (...host) => this.fence(...host) };
    this.operations = createOperations(
      { engine, exports },
      { pools, volumes, environment, notices },
    );
  }

  /** Makes and opens a pool on a sparse file. */
  async createPool(pool: string): Promise<void> {
    const identity = { pool, poolUuid: crypto.randomUUID() };
    const path = join(this.folder, `${pool}.img`);
    await this.operations.preparePool({
      ...identity,
      devices: [{ path, sizeBytes: testPoolBytes }],
    });
    await this.operations.formatPool(identity);
    await this.operations.openPool({ ...identity, devices: [path] });
  }

  /** Creates a volume of 64 MiB in pool-1, if nothing else is said. */
  async createVolume(id: string, body: Partial<PutVolume> = {}): Promise<void> {
    const defaults = { pool: 'pool-1', sizeBytes: 64 * mebibyte, labels: {}, limits: {} };
    await this.operations.putVolume({ id, body: { ...defaults, ...body } });
  }

  /** Writes one block, as a client would. */
  async write(volume: string, lbn = 0): Promise<void> {
    const found = this.pools.requireNode({ kind: 'volume', name: volume }, 'Writing');
    const io = found.store.openIo(found.summary);
    const block = new Uint8Array(4096).fill(7);
    await new Promise<void>((resolve, reject) => {
      io.write(lbn, block, true, (error) => (error === null ? resolve() : reject(error)));
    });
    await io.close();
  }

  /** Opens an export, as a connection would; call the answer to close it. */
  connect(kind: 'volume' | 'snapshot', name: string): () => Promise<void> {
    const handle = this.volumes.open({ kind, name }, { evicted: () => undefined });
    return () => handle.close();
  }

  async end(): Promise<void> {
    await this.operations.shutdown(undefined);
    rmSync(this.folder, { recursive: true, force: true });
  }
}
