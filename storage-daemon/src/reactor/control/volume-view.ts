/** What the contract says of a volume. */
import { volumeNqnPrefix } from '@varve/contract/host';
import type { Volume } from '@varve/contract/volume';

import { blocksToBytes } from '../../units.ts';
import type { FoundNode } from '../pools/open-pools.ts';
import { formatExportName } from '../export-name.ts';
import type { NvmeListenAddress } from '../messages.ts';
import { decodeVolumeAttributes } from './object-attributes.ts';
import { formatUuid } from '../uuid-text.ts';

/** What the view shows of the exports. */
export interface VolumeExports {
  readonly connections: number;
  readonly nvmeAddresses: readonly NvmeListenAddress[];
}

/** A volume without the sizes that take a computation. */
export function viewVolume(
  { store, summary }: FoundNode,
  { connections, nvmeAddresses }: VolumeExports,
): Volume {
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
    slackBytes: blocksToBytes(summary.slackBlocks),
    connections,
    hosts: hosts.map(({ nqn }) => nqn),
    ...(nvmeAddresses.length > 0 && {
      nvme: {
        subsystemNqn: volumeNqnPrefix + formatUuid(summary.uuid),
        nsid: 1,
        addresses: nvmeAddresses.map(({ host, port }) => ({
          transport: 'tcp' as const,
          address: host,
          port,
        })),
      },
    }),
    exportName: formatExportName(summary),
    reverts: reverts.map(({ id }) => id),
  };
}
