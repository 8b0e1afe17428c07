/** The trees of volumes and snapshots, for people. */
import type { CatalogRecord } from '../../format/catalog-record.ts';
import { nodeName } from '../check/cell-state.ts';
import { formatBlocks } from './print-superblock.ts';

/** One tree per family, a line per node. Nodes that nothing leads to (a broken catalog) come last. */
export function describeCatalog(nodes: readonly CatalogRecord[]): string[] {
  if (nodes.length === 0) return ['  none'];
  const lines: string[] = [];
  const left = new Set(nodes);
  const ids = new Set(nodes.map(({ id }) => id));
  const children = Map.groupBy(nodes, ({ parent }) => parent);
  const isTop = ({ parent }: CatalogRecord) => parent === undefined || !ids.has(parent);
  const tops = nodes.filter(isTop).toSorted((a, b) => a.family - b.family || a.id - b.id);
  // A stack, not recursion: a line of snapshots can be longer than the call stack is deep.
  const waiting = tops.toReversed().map((node) => ({ node, own: '  ', below: '  ' }));
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const { node, own, below } = next;
    if (!left.delete(node)) continue;
    lines.push(own + describeNode(node));
    const branches = (children.get(node.id) ?? []).map((child, index, all) => {
      const isLast = index === all.length - 1;
      // An only child stands right below, or a line of thousands of snapshots would be as wide as it is long.
      if (all.length === 1) return { node: child, own: below, below };
      const branch = below + (isLast ? '└─ ' : '├─ ');
      return { node: child, own: branch, below: below + (isLast ? '   ' : '│  ') };
    });
    waiting.push(...branches.toReversed());
  }
  for (const node of left) lines.push(`  ${describeNode(node)}`);
  return lines;
}

function describeNode(node: CatalogRecord): string {
  const { family, epoch, curEpoch, sizeBlocks, referencedBlocks, ownBlocks, deadBlocks } = node;
  const parts = [
    `family ${family}`,
    `epoch ${epoch > 0 ? epoch : curEpoch}`,
    `size ${formatBlocks(sizeBlocks)}`,
    `references ${formatBlocks(referencedBlocks)}`,
    `own ${formatBlocks(ownBlocks)}`,
    `dropped ${formatBlocks(deadBlocks)}`,
  ];
  if (node.isWalking) {
    parts.push(`freed up to ${formatBlocks(node.walkCursor)}`, `above epoch ${node.walkBound}`);
  }
  return `${nodeName(node)}: ${parts.join(', ')}`;
}
