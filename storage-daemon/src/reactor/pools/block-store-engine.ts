/** The engine of production: the block store on Node's fs. */
import { openFileDevice } from '../../device/file-device.ts';
import { formatStore } from '../../store/format-store.ts';
import { openStore } from '../../store/open-store.ts';
import type { StoreEngine } from './store-engine.ts';

/** The one place where a reactor's store and devices are chosen. */
export const blockStoreEngine: StoreEngine = {
  ioEngine: 'fs',
  ioEngineReason: 'this version has no other',
  openDevice: openFileDevice,
  formatStore,
  openStore,
};
