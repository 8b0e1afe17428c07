/** What the contract says of a snapshot. */
import type { Snapshot } from '@varve/contract/snapshot';

import type { NodeSummary, Store } from '../../store/store-api.ts';
import { blocksToBytes } from '../../units.ts';
import type { FoundNode } from '../pools/open-pools.ts';
import { formatExportName } from '../export-name.ts';
import { decodeSnapshotAttributes } from './object-attributes.ts';
import { formatUuid } from '../uuid-text.ts';

/** A snapshot without the sizes that take a computation. */
export function viewSnapshot(
  { store, summary }: FoundNode,
  users: { readonly references: ReferenceCounter; readonly exports: number },
): Snapshot {
  const attributes = decodeSnapshotAttributes(summary.attributes);
  const { creation, labels, lockedUntil, filesystem } = attributes;
  return {
    id: summary.name,
    uuid: formatUuid(summary.uuid),
    pool: store.poolName,
    volume: creation.volume,
    labels,
    createdAt: new Date(summary.createdMs).toISOString(),
    restoreSizeBytes: blocksToBytes(summary.sizeBlocks),
    referencedBytes: blocksToBytes(summary.referencedBlocks),
    slackBytes: blocksToBytes(summary.slackBlocks),
    references: { ...users.references.count(store, summary), exports: users.exports },
    ...(lockedUntil !== undefined && { lockedUntil }),
    filesystem,
    exportName: formatExportName(summary),
  };
}

/** Clones and later snapshots of a snapshot. */
export interface ChildCounts {
  readonly clones: number;
  readonly laterSnapshots: number;
}

/**
 * Tells a snapshot's children apart: its own volume does not count, later snapshots of that volume do,
 * everything else is a clone's. The children of all snapshots of a store are gathered once, when the first
 * snapshot asks that has more than its volume below it; use one counter for one answer, since the tree
 * changes.
 */
export class ReferenceCounter {
  readonly #childrenOf = new Map<Store, ReadonlyMap<string, readonly NodeSummary[]>>();

  /** Counts the children that users see. */
  count(store: Store, snapshot: NodeSummary): ChildCounts {
    if (snapshot.childCount === 0) return { clones: 0, laterSnapshots: 0 };
    const { volume, volumeUuid } = decodeSnapshotAttributes(snapshot.attributes).creation;
    if (snapshot.childCount === 1) {
      const own = store.find({ kind: 'volume', name: volume });
      if (own?.parentSnapshot === snapshot.name && formatUuid(own.uuid) === volumeUuid) {
        return { clones: 0, laterSnapshots: 0 };
      }
    }
    let clones = 0;
    let laterSnapshots = 0;
    for (const child of this.#children(store).get(snapshot.name) ?? []) {
      if (child.kind === 'volume') {
        if (formatUuid(child.uuid) !== volumeUuid) clones++;
      } else if (decodeSnapshotAttributes(child.attributes).creation.volumeUuid === volumeUuid) {
        laterSnapshots++;
      } else clones++;
    }
    return { clones, laterSnapshots };
  }

  #children(store: Store): ReadonlyMap<string, readonly NodeSummary[]> {
    const known = this.#childrenOf.get(store);
    if (known) return known;
    const children = new Map<string, NodeSummary[]>();
    for (const node of [...store.list('volume'), ...store.list('snapshot')]) {
      if (node.parentSnapshot === undefined) continue;
      const siblings = children.get(node.parentSnapshot);
      if (siblings) siblings.push(node);
      else children.set(node.parentSnapshot, [node]);
    }
    this.#childrenOf.set(store, children);
    return children;
  }
}
