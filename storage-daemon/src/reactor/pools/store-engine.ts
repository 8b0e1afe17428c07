/**
 * The block store as a reactor uses it. The thread's entry chooses it, in one place; tests pass one that
 * lives in memory.
 */
import type { DeviceProbe } from '../../device/device-probe.ts';
import type { BlockDevice } from '../../device/block-device.ts';
import type { FormatStore, OpenStore } from '../../store/store-api.ts';

/** A device that this process holds exclusively until `close()`. */
export interface PoolBlockDevice extends BlockDevice {
  readonly probe: DeviceProbe;
}

/** Opens devices and makes stores of them. */
export interface StoreEngine {
  /** What `/v1/info` calls the way of doing I/O. */
  readonly ioEngine: string;
  /** Why it is not a faster one. */
  readonly ioEngineReason: string;
  /** @throws DeviceOpenError */
  readonly openDevice: (path: string) => PoolBlockDevice;
  readonly formatStore: FormatStore;
  readonly openStore: OpenStore;
}
