/** A served store for tests of NVMe/TCP: volumes over real sockets, in this process. */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { encodeAttributes } from '../../reactor/control/object-attributes.ts';
import { createReactorEnvironment } from '../../reactor/control/reactor-environment.ts';
import type { HostGrant } from '../../reactor/host-access.ts';
import { NvmeServer } from '../../reactor/nvme/nvme-server.ts';
import { formatSubsystemNqn, VolumeSubsystems } from '../../reactor/nvme/volume-subsystems.ts';
import { chooseIoEngine } from '../../reactor/io-engine.ts';
import { createTransport } from '../../reactor/nbd-transport.ts';
import { createBlockStoreEngine } from '../../reactor/pools/block-store-engine.ts';
import type { StoreEngine } from '../../reactor/pools/store-engine.ts';
import { OpenPools } from '../../reactor/pools/open-pools.ts';
import type { Store } from '../../store/store-api.ts';
import { bytesToBlocks } from '../../units.ts';
import { VolumeTable } from '../../volume/volume-table.ts';
import type { TestTransport } from '../nbd-test-server.ts';
import { NvmeInitiator, type NvmeInitiatorOptions } from '../nvme-initiator/nvme-initiator.ts';

const poolBytes = 512 * 1024 ** 2;
const poolName = 'test';

/** A host that tests connect as. */
export const testHostNqn = 'nqn.2014-08.org.nvmexpress:uuid:7a1f6c1e-0000-4000-8000-000000000001';

/** A running server. */
export class NvmeTestServer {
  readonly folder = mkdtempSync(join(tmpdir(), 'varve-nvme-'));
  readonly logs: string[] = [];
  readonly pools: OpenPools;
  readonly volumes: VolumeTable;
  readonly server: NvmeServer;
  /** Grants by `<volume> <host NQN>`. */
  readonly grants = new Map<string, HostGrant>();
  readonly #open: NvmeInitiator[] = [];

  readonly #engine: StoreEngine;

  private constructor(testTransport: TestTransport) {
    const log = (_level: string, message: string) => void this.logs.push(message);
    const environment = createReactorEnvironment({ event: () => {}, log });
    const chosen = chooseIoEngine(testTransport === 'node' ? 'fs' : 'io_uring');
    this.#engine = createBlockStoreEngine(chosen, log);
    const transport = createTransport(chosen.ioRing);
    this.pools = new OpenPools(this.#engine, environment);
    const clockMs = () => performance.now();
    this.volumes = new VolumeTable({ nodes: this.pools.asNodeFinder(), clockMs });
    const access = {
      grantOf: (volume: string, host: string) => this.grants.get(`${volume} ${host}`),
    };
    const { pools, volumes } = this;
    const subsystems = new VolumeSubsystems({ pools, volumes, access });
    this.server = new NvmeServer({
      pools,
      subsystems,
      transport,
      log,
      clockMs,
      version: '0.0.1',
    });
  }

  static async start(testTransport: TestTransport = 'node'): Promise<NvmeTestServer> {
    const made = new NvmeTestServer(testTransport);
    const engine = made.#engine;
    const path = join(made.folder, 'pool');
    writeFileSync(path, '');
    truncateSync(path, poolBytes);
    const environment = createReactorEnvironment({ event: () => {}, log: () => {} });
    const poolUuid = environment.randomUuid();
    const device = engine.openDevice(path);
    const geometry = {};
    await engine.formatStore({ poolName, poolUuid, geometry }, { devices: [device], environment });
    const uuidText = Buffer.from(poolUuid)
      .toString('hex')
      .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
    await made.pools.open({ pool: poolName, poolUuid: uuidText }, [device]);
    await made.server.listen([{ host: '127.0.0.1', port: 0 }]);
    return made;
  }

  get store(): Store {
    return this.pools.require(poolName, 'Testing');
  }

  get port(): number {
    return this.server.addresses[0]!.port;
  }

  /** Makes a volume that the test's host may attach; returns its subsystem. */
  async createVolume(name: string, sizeBytes: number, grant: HostGrant = {}): Promise<string> {
    const uuid = crypto.getRandomValues(new Uint8Array(16));
    const sizeBlocks = bytesToBlocks(sizeBytes);
    const attributes = encodeAttributes('Creating a volume', {
      version: 1,
      creation: { sizeBytes },
      filesystem: { state: 'blank' },
      labels: {},
      limits: {},
      reverts: [],
    });
    await this.store.createVolume({ name, uuid, sizeBlocks, attributes });
    this.grants.set(`${name} ${testHostNqn}`, grant);
    return formatSubsystemNqn(uuid);
  }

  /** Connects as the test's host. */
  async connect(
    subsystemNqn: string,
    options: Partial<NvmeInitiatorOptions> = {},
  ): Promise<NvmeInitiator> {
    const made = await NvmeInitiator.connect({ ...this.hostOptions, subsystemNqn, ...options });
    this.#open.push(made);
    return made;
  }

  /** Who the test's host is, and where it connects. */
  get hostOptions(): { readonly host: string; readonly port: number; readonly hostNqn: string } {
    return { host: '127.0.0.1', port: this.port, hostNqn: testHostNqn };
  }

  async close(): Promise<void> {
    await Promise.all(this.#open.map((initiator) => initiator.abandon()));
    await this.server.close();
    await this.volumes.closeAll('the test is over');
    await this.pools.close();
    this.#engine.close();
    rmSync(this.folder, { recursive: true });
  }
}
