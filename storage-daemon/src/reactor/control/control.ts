/** The control side of a reactor: all operations of the main thread, put together. */
import type { OperationTable } from '../channel.ts';
import type { ExportServer } from '../export-server.ts';
import type { ReactorCounters } from '../messages.ts';
import { HostGrants } from '../host-grants.ts';
import { FilesystemOperations } from './filesystem-operations.ts';
import type { ControlDependencies } from './control-dependencies.ts';
import { HostOperations } from './host-operations.ts';
import { PoolOperations } from './pool-operations.ts';
import { SnapshotOperations } from './snapshot-operations.ts';
import { SpaceProgress } from './space-progress.ts';
import type { StoreEngine } from '../pools/store-engine.ts';
import { VolumeOperations } from './volume-operations.ts';

/** Creates the table of operations that a reactor serves. */
export function createOperations(
  { engine, exports }: { readonly engine: StoreEngine; readonly exports: ExportServer },
  shared: Omit<ControlDependencies, 'spaceProgress' | 'exports'>,
): OperationTable {
  const spaceProgress = new SpaceProgress(shared.environment, shared.notices);
  const dependencies = { ...shared, spaceProgress, exports };
  const pools = new PoolOperations(engine, dependencies);
  const volumes = new VolumeOperations(dependencies);
  const snapshots = new SnapshotOperations(dependencies);
  const hosts = new HostOperations(dependencies);
  const filesystems = new FilesystemOperations(dependencies);
  return {
    start: async ({ mapMemoryBytes, deallocateBytesPerSecond, nbd }) => {
      shared.pools.mapMemoryBytes = mapMemoryBytes;
      shared.pools.deallocateBytesPerSecond = deallocateBytesPerSecond;
      const { ioEngine, ioEngineReason, ioEngineRefusal } = engine;
      if (ioEngineRefusal !== undefined) throw ioEngineRefusal;
      shared.notices.log('info', 'I/O engine chosen', { ioEngine, reason: ioEngineReason });
      return { exports: await exports.listen(nbd), ioEngine, ioEngineReason };
    },
    listenForNvme: ({ addresses }) => exports.listenForNvme(addresses),
    preparePool: (argument) => pools.prepare(argument),
    releasePool: (argument) => pools.release(argument),
    formatPool: (argument) => pools.format(argument),
    openPool: (argument) => pools.open(argument),
    holdPool: (argument) => pools.hold(argument),
    openPart: (argument) => pools.openPart(argument),
    dropPool: (argument) => pools.drop(argument),
    noteNvmeAddresses: async ({ addresses }) => exports.noteNvmeAddresses(addresses),
    adoptNbdClient: async (argument) => exports.adoptNbdClient(argument),
    adoptNvmeQueue: async (argument) => exports.adoptNvmeQueue(argument),
    listPools: () => pools.list(),
    putVolume: (argument) => volumes.put(argument),
    patchVolume: (argument) => volumes.patch(argument),
    getVolume: (argument) => volumes.get(argument),
    listVolumes: (argument) => volumes.list(argument),
    deleteVolume: (argument) => volumes.delete(argument),
    putRevert: (argument) => volumes.revert(argument),
    getFilesystem: (argument) => filesystems.get(argument),
    putFilesystem: (argument) => filesystems.put(argument),
    putHost: (argument) => hosts.put(argument),
    getHost: (argument) => hosts.get(argument),
    listHosts: (argument) => hosts.list(argument),
    deleteHost: (argument) => hosts.delete(argument),
    putSnapshot: (argument) => snapshots.put(argument),
    getSnapshot: (argument) => snapshots.get(argument),
    listSnapshots: (argument) => snapshots.list(argument),
    deleteSnapshot: (argument) => snapshots.delete(argument),
    countReclaimable: (argument) => snapshots.countReclaimable(argument),
    readCounters: async () => {
      pools.checkHealth();
      return readCounters(exports, dependencies);
    },
    shutdown: async () => {
      spaceProgress.close();
      shared.volumes.liftLimits();
      // Connections first: what they have sent is answered, then nothing changes the stores any more.
      await exports.close();
      await shared.volumes.closeAll('the daemon stops');
      await pools.close();
      engine.close();
    },
  };
}

/** Not the event loop's own figure: a turn of the ring that waits for a device would count as busy there. */
function readCpuSeconds(): ReactorCounters['cpuSeconds'] {
  const { user, system } = process.threadCpuUsage();
  return { user: user / 1e6, system: system / 1e6 };
}

function readCounters(
  exports: ExportServer,
  { pools, volumes }: ControlDependencies,
): ReactorCounters {
  return {
    pools: pools.serving.map(({ store }) => ({ pool: store.poolName, store: store.counters() })),
    connections: exports.connectionCount,
    hostGrants: new HostGrants(pools).count,
    nvme: exports.nvmeCounters,
    hostAuthenticationFailures: exports.authenticationFailureCount,
    io: {
      volume: volumes.statistics('volume').read(),
      snapshot: volumes.statistics('snapshot').read(),
    },
    throttle: volumes.throttleCounts,
    cpuSeconds: readCpuSeconds(),
  };
}
