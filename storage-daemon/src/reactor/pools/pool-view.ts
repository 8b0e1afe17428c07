/** What the contract says of an open pool. */
import type { PoolCondition } from '@varve/contract/pool';

import type { Store } from '../../store/store-api.ts';
import { blocksToBytes } from '../../units.ts';
import type { OpenPool } from '../messages.ts';
import type { ServingPool } from './open-pools.ts';
import { describeDevice } from './prepared-pools.ts';
import { formatUuid } from '../uuid-text.ts';

/** Describes a pool as it is now. */
export function viewPool({ store, devices }: ServingPool): OpenPool {
  const space = store.space();
  const volumes = store.list('volume');
  const usedBlocks = space.allocatedBlocks - space.metadataBlocks - space.pendingFreeBlocks;
  return {
    pool: store.poolName,
    uuid: formatUuid(store.poolUuid),
    devices: devices.map(describeDevice),
    conditions: viewConditions(store),
    cells: store.cellCount,
    sizeBytes: blocksToBytes(space.sizeBlocks),
    allocatedBytes: blocksToBytes(space.allocatedBlocks),
    freeBytes: blocksToBytes(space.freeBlocks),
    // Background work frees metadata too, so the estimate of what is pending can be larger than the data.
    referencedBytes: blocksToBytes(Math.max(0, usedBlocks)),
    metadataBytes: blocksToBytes(space.metadataBlocks),
    slackBytes: blocksToBytes(space.slackBlocks),
    reservedBytes: blocksToBytes(space.reservedBlocks),
    pendingFreeBytes: blocksToBytes(space.pendingFreeBlocks),
    provisionedBytes: blocksToBytes(volumes.reduce((sum, { sizeBlocks }) => sum + sizeBlocks, 0)),
    mapMemory: store.mapMemory(),
    volumes: volumes.length,
    snapshots: store.list('snapshot').length,
  };
}

function viewConditions(store: Store): PoolCondition[] {
  const reason = store.readOnlyReason;
  return [
    { type: 'Open', status: 'True', reason: 'Opened', message: 'The pool serves.' },
    reason === undefined
      ? { type: 'Writable', status: 'True', reason: 'Healthy', message: 'The pool takes changes.' }
      : { type: 'Writable', status: 'False', reason: 'ReadOnly', message: reason },
  ];
}
