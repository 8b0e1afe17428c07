/** What must hold of the catalog alone: the trees of nodes, their epochs, flags and sizes. */
import type { CatalogRecord } from '../../format/catalog-record.ts';
import { mapLevel } from '../../format/pool-layout.ts';
import { volumeSizeBlocksMax } from '../../units.ts';
import { type CellState, isWaiting, nodeName, parentEpoch } from './cell-state.ts';

/** Checks all nodes of a cell. */
export function checkNodes(state: CellState): void {
  const epochs = new Map<string, CatalogRecord>();
  for (const node of state.nodes.values()) {
    checkParent(state, node);
    checkFlags(state, node);
    checkSizes(state, node);
    if (!node.isWalking) checkEpochs(state, node, epochs);
  }
}

function checkParent({ nodes, children, findings, root }: CellState, node: CatalogRecord): void {
  const what = `cell ${root.cell}: ${nodeName(node)}`;
  const childCount = children.get(node.id)?.length ?? 0;
  findings.expect(
    node.childCount === childCount,
    () => `${what} counts ${node.childCount} children and has ${childCount}`,
  );
  findings.expect(
    node.family > 0 && node.family < root.nextFamilyId,
    () => `${what} is of family ${node.family}, the next one is to be ${root.nextFamilyId}`,
  );
  if (node.parent === undefined) return;
  const parent = nodes.get(node.parent);
  if (!parent) {
    findings.add(`${what} has the parent ${node.parent}, which does not exist`);
    return;
  }
  findings.expect(
    parent.kind === 'snapshot',
    () => `${what} has a parent that is no snapshot: ${nodeName(parent)}`,
  );
  findings.expect(
    parent.family === node.family,
    () => `${what} is of family ${node.family}, its parent of ${parent.family}`,
  );
  findings.expect(!isInCycle(nodes, node), () => `${what} is its own ancestor`);
}

function isInCycle(nodes: CellState['nodes'], node: CatalogRecord): boolean {
  const seen = new Set<number>();
  let at = node.parent;
  while (at !== undefined && !seen.has(at)) {
    seen.add(at);
    at = nodes.get(at)?.parent;
  }
  return seen.has(node.id);
}

function checkFlags({ children, findings, root }: CellState, node: CatalogRecord): void {
  const what = `cell ${root.cell}: ${nodeName(node)}`;
  const childCount = children.get(node.id)?.length ?? 0;
  if (isWaiting(node)) {
    findings.expect(node.kind === 'snapshot', () => `${what} is not walked`);
    findings.expect(childCount >= 2, () => `${what} waits with ${childCount} children`);
    findings.expect(node.root.pbn === 0, () => `${what} still has a map`);
  }
  if (node.isWalking) {
    findings.expect(childCount === 0, () => `${what} is walked and has children`);
    findings.expect(
      node.walkCursor < node.sizeBlocks,
      () => `${what} is walked up to block ${node.walkCursor} of ${node.sizeBlocks}`,
    );
    findings.expect(
      node.deadData.pbn === 0 && node.deadMeta.pbn === 0,
      () => `${what} is walked and has a dead list`,
    );
  }
  findings.expect(
    node.isWalking || (node.walkCursor === 0 && node.walkBound === 0),
    () => `${what} is not walked and has a cursor or bound`,
  );
  findings.expect(
    node.parent !== undefined || (node.deadData.pbn === 0 && node.deadMeta.pbn === 0),
    () => `${what} has a dead list and no parent`,
  );
}

function checkSizes({ findings, root, reader }: CellState, node: CatalogRecord): void {
  const what = `cell ${root.cell}: ${nodeName(node)}`;
  findings.expect(
    node.sizeBlocks >= 1 && node.sizeBlocks <= volumeSizeBlocksMax,
    () => `${what} has ${node.sizeBlocks} blocks`,
  );
  const level = mapLevel(reader.geometry, node.sizeBlocks);
  findings.expect(
    node.level === level,
    () => `${what} has a map of height ${node.level}, ${node.sizeBlocks} blocks need ${level}`,
  );
  findings.expect(
    node.slackBlocks === 0 || !node.isDeleted,
    () => `${what} has ${node.slackBlocks} blocks of slack`,
  );
}

/** A snapshot's epoch was its head's curEpoch: no two nodes of a family have one, and they rise along each path. */
function checkEpochs(
  state: CellState,
  node: CatalogRecord,
  epochs: Map<string, CatalogRecord>,
): void {
  const { findings, root } = state;
  const what = `cell ${root.cell}: ${nodeName(node)}`;
  const epoch = node.kind === 'snapshot' ? node.epoch : node.curEpoch;
  const above = parentEpoch(state, node);
  findings.expect(epoch > above, () => `${what} is of epoch ${epoch}, its parent of ${above}`);
  findings.expect(
    node.root.birth <= epoch,
    () => `${what} is of epoch ${epoch}, its map was born in ${node.root.birth}`,
  );
  const key = `${node.family}/${epoch}`;
  const twin = epochs.get(key);
  if (twin) findings.add(`${what} is of epoch ${epoch}, as is ${nodeName(twin)}`);
  epochs.set(key, node);
}
