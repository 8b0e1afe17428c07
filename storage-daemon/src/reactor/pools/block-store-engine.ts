/** The engine of production: the block store on io_uring, or on Node's fs where that is not permitted. */
import { openFileDevice, shareFileDevice } from '../../device/file-device.ts';
import { openUringDevice, shareUringDevice, type UringDevice } from '../../device/uring-device.ts';
import { formatStore } from '../../store/format-store.ts';
import { openStore } from '../../store/open-store.ts';
import { readPoolShape } from '../../store/pool-superblock.ts';
import type { ReactorNotices } from '../channel.ts';
import type { IoEngine } from '../io-engine.ts';
import type { StoreEngine } from './store-engine.ts';

/** The block store on Node's fs: what every machine has. */
export const blockStoreEngine: StoreEngine = {
  ioEngine: 'fs',
  ioEngineReason: 'nothing else was asked for',
  ioEngineRefusal: undefined,
  openDevice: openFileDevice,
  shareDevice: shareFileDevice,
  formatStore,
  openStore,
  readPoolShape,
  close: () => undefined,
};

/** The one place where a reactor's store and devices are chosen. */
export function createBlockStoreEngine(
  { name, reason, refusal, ioRing }: IoEngine,
  log: ReactorNotices['log'],
): StoreEngine {
  const common = { ioEngine: name, ioEngineReason: reason, ioEngineRefusal: refusal };
  if (ioRing === undefined) return { ...blockStoreEngine, ...common };
  const checked = (device: UringDevice): UringDevice => {
    if (device.memoryLockFailure !== undefined) {
      log('info', 'memory for I/O may be swapped out', {
        device: device.name,
        reason: `mlock: ${device.memoryLockFailure}, it needs CAP_IPC_LOCK or a higher limit`,
      });
    }
    return device;
  };
  return {
    ...blockStoreEngine,
    ...common,
    openDevice: (path) => checked(openUringDevice(path, ioRing)),
    shareDevice: (held) => checked(shareUringDevice(held, ioRing)),
    close: () => ioRing.loop.close(),
  };
}
