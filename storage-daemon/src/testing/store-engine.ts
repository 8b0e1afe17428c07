/** The store as the simulator runs it. */
import { formatStore } from '../store/format-store.ts';
import { checkPool } from '../inspect/check-pool.ts';
import { openStore } from '../store/open-store.ts';
import type { StoreEngine } from './runs/simulated-machine.ts';

/** The code under test. */
export const storeEngine: StoreEngine = {
  formatStore,
  openStore,
  checkPool,
};
