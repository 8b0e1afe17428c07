/**
 * Cuts the pages of lists. Attributes are parsed only for filters that look into them, and for the page
 * itself.
 */
import type { Labels } from '@varve/contract/identifier';

import type { NodeKind } from '../../store/store-api.ts';
import type { FoundNode } from '../pools/open-pools.ts';
import type { ListArgument } from '../messages.ts';
import { decodeSnapshotAttributes, decodeVolumeAttributes } from './object-attributes.ts';
import type { OpenPools } from '../pools/open-pools.ts';

/** A page of nodes, and the id to go on after, if there are more. */
export interface NodePage {
  readonly nodes: readonly FoundNode[];
  readonly next: { readonly next: string } | undefined;
}

/**
 * Selects a page.
 *
 * @throws ProblemError `unavailable` while a pool that the list should show is closed: a list without its
 * objects would be wrong.
 */
export function selectPage(pools: OpenPools, kind: NodeKind, query: ListArgument): NodePage {
  const action = `Listing ${kind}s`;
  if (query.pool === undefined) pools.requireAll(action);
  else pools.require(query.pool, action);
  const nodes: FoundNode[] = [];
  for (const found of pools.list(kind)) {
    if (query.after !== undefined && found.summary.name <= query.after) continue;
    if (query.pool !== undefined && found.store.poolName !== query.pool) continue;
    if (!isSelected(found, query)) continue;
    if (nodes.length === query.limit) {
      return { nodes, next: { next: nodes.at(-1)!.summary.name } };
    }
    nodes.push(found);
  }
  return { nodes, next: undefined };
}

function isSelected({ summary }: FoundNode, { labels, volume }: ListArgument): boolean {
  if (labels.length === 0 && volume === undefined) return true;
  if (summary.kind === 'volume') {
    return hasLabels(decodeVolumeAttributes(summary.attributes).labels, labels);
  }
  const attributes = decodeSnapshotAttributes(summary.attributes);
  return (
    (volume === undefined || attributes.creation.volume === volume) &&
    hasLabels(attributes.labels, labels)
  );
}

function hasLabels(labels: Labels, wanted: ListArgument['labels']): boolean {
  return wanted.every(({ key, value }) =>
    value === undefined ? Object.hasOwn(labels, key) : labels[key] === value,
  );
}
