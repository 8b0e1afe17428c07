/**
 * The block store as a reactor uses it. The thread's entry chooses it, in one place; tests pass one that
 * lives in memory.
 */
import type { ProblemError } from '@varve/contract/problem';

import type { DeviceProbe } from '../../device/device-probe.ts';
import type { BlockDevice } from '../../device/block-device.ts';
import type { OpenedDevice } from '../../device/open-exclusively.ts';
import type { PoolShape } from '../../store/pool-superblock.ts';
import type { FormatStore, OpenStore } from '../../store/store-api.ts';
import type { IoEngineName } from '../messages.ts';

/** A device that this process holds exclusively until `close()`. */
export interface PoolBlockDevice extends BlockDevice {
  readonly probe: DeviceProbe;
  readonly opened: OpenedDevice;
}

/** Opens devices and makes stores of them. */
export interface StoreEngine {
  /** What `/v1/info` calls the way of doing I/O. */
  readonly ioEngine: IoEngineName;
  /** Why it is this one. */
  readonly ioEngineReason: string;
  /** Why the setting cannot be followed: the start fails with it. */
  readonly ioEngineRefusal: ProblemError | undefined;
  /** @throws DeviceOpenError */
  readonly openDevice: (path: string) => PoolBlockDevice;
  /** Opens what another reactor of this process holds. @throws DeviceOpenError */
  readonly shareDevice: (held: OpenedDevice) => PoolBlockDevice;
  readonly formatStore: FormatStore;
  readonly openStore: OpenStore;
  /** Reads how a pool is divided. @throws StoreError */
  readonly readPoolShape: (devices: readonly BlockDevice[]) => Promise<PoolShape>;
  /** Ends the way of doing I/O, after all devices were closed. May be called twice. */
  readonly close: () => void;
}
