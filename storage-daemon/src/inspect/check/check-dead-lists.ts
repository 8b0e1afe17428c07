/** What must hold of dead lists before they are compared with the maps. */
import type { CatalogRecord } from '../../format/catalog-record.ts';
import type { DeadList } from '../read/read-dead-list.ts';
import { type CellState, nodeName, parentEpoch } from './cell-state.ts';

/** Checks both dead lists of all nodes. */
export function checkDeadLists(state: CellState): void {
  for (const [id, { data, pages }] of state.deadLists) {
    const node = state.nodes.get(id)!;
    const what = `cell ${state.root.cell}: ${nodeName(node)}`;
    const ancestors = ancestorEpochs(state, node);
    checkBuckets(state, { list: data, what: `${what}, dead data`, ancestors });
    checkBuckets(state, { list: pages, what: `${what}, dead pages`, ancestors });
    state.findings.expect(
      node.deadBlocks === data.blocks.length,
      () => `${what} counts ${node.deadBlocks} dead blocks and has ${data.blocks.length}`,
    );
  }
}

/** Epochs of a node's ancestors, the parent's first. */
function ancestorEpochs(state: CellState, node: CatalogRecord): number[] {
  const epochs = [parentEpoch(state, node)];
  const seen = new Set<number>();
  let at = node.parent;
  while (at !== undefined && !seen.has(at)) {
    seen.add(at);
    const ancestor = state.nodes.get(at);
    if (!ancestor) break;
    epochs.push(parentEpoch(state, ancestor));
    at = ancestor.parent;
  }
  return epochs;
}

function checkBuckets(
  { findings }: CellState,
  { list, what, ancestors }: { list: DeadList; what: string; ancestors: readonly number[] },
): void {
  const [parent = 0] = ancestors;
  for (const bucket of list.buckets) {
    const name = `${what}, bucket above ${bucket.birthLow}`;
    findings.expect(
      bucket.blockCount === bucket.entryCount,
      () => `${name} counts ${bucket.blockCount} blocks and has ${bucket.entryCount}`,
    );
    const { lowest, highest } = bucket;
    findings.expect(
      lowest > bucket.birthLow && highest <= parent,
      () => `${name} has births from ${lowest} to ${highest}, its parent is of epoch ${parent}`,
    );
    const straddled = ancestors.find((epoch) => lowest <= epoch && epoch < highest);
    findings.expect(
      straddled === undefined,
      () => `${name} has births on both sides of epoch ${straddled}, an ancestor's`,
    );
  }
  for (let index = 0; index < list.blocks.length; index++) {
    findings.expect(list.blocks.pbn(index) !== 0, () => `${what} has an entry without a block`);
  }
}
