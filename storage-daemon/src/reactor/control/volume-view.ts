/** What the contract says of a volume. */
import type { Volume } from '@varve/contract/volume';

import { blocksToBytes } from '../../units.ts';
import type { FoundNode } from '../pools/open-pools.ts';
import { formatExportName } from '../export-name.ts';
import { decodeVolumeAttributes } from './object-attributes.ts';
import { formatUuid } from '../uuid-text.ts';

/** A volume without the sizes that take a computation. */
export function viewVolume({ store, summary }: FoundNode, connections: number): Volume {
  const {
    creation,
    labels,
    limits,
    filesystem,
    reverts,
    hosts = [],
  } = decodeVolumeAttributes(summary.attributes);
  return {
    id: summary.name,
    uuid: formatUuid(summary.uuid),
    pool: store.poolName,
    sizeBytes: blocksToBytes(summary.sizeBlocks),
    ...(creation.source && { source: creation.source }),
    labels,
    limits,
    filesystem,
    createdAt: new Date(summary.createdMs).toISOString(),
    ...(summary.parentSnapshot !== undefined && { parentSnapshot: summary.parentSnapshot }),
    referencedBytes: blocksToBytes(summary.referencedBlocks),
    connections,
    hosts: hosts.map(({ nqn }) => nqn),
    exportName: formatExportName(summary),
    reverts: reverts.map(({ id }) => id),
  };
}
