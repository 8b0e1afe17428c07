/** Tells while space comes back after deletes, so that a watcher sees it happen. */
import type { Store } from '../../store/store-api.ts';
import type { CancelTimer, StoreEnvironment } from '../../store/store-environment.ts';
import { blocksToBytes } from '../../units.ts';
import type { ReactorNotices } from '../channel.ts';

/** Often enough for a person who watches, seldom enough to cost nothing. */
const intervalMs = 1000;

/** Watches stores that have background work left. One timer a store at most. */
export class SpaceProgress {
  readonly #environment: StoreEnvironment;
  readonly #notices: ReactorNotices;
  readonly #timers = new Map<Store, CancelTimer>();

  constructor(environment: StoreEnvironment, notices: ReactorNotices) {
    this.#environment = environment;
    this.#notices = notices;
  }

  /** Reports on this store until nothing is pending. */
  watch(store: Store): void {
    if (this.#timers.has(store)) return;
    this.#timers.set(
      store,
      this.#environment.after(intervalMs, () => {
        this.#timers.delete(store);
        this.#report(store);
      }),
    );
  }

  /** Ends all timers. */
  close(): void {
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
  }

  #report(store: Store): void {
    const { pendingFreeBlocks, freeBlocks } = store.space();
    const pendingFreeBytes = blocksToBytes(pendingFreeBlocks);
    this.#notices.event({
      type: 'space-progress',
      object: `pool/${store.poolName}`,
      message: `${pendingFreeBytes} bytes are still to be freed.`,
      fields: { pendingFreeBytes, freeBytes: blocksToBytes(freeBlocks) },
    });
    if (pendingFreeBlocks > 0) this.watch(store);
  }
}
