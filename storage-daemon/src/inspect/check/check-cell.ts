/** Everything that must hold of one cell. Names are returned, because they must be unique in the whole pool. */
import type { CatalogRecord } from '../../format/catalog-record.ts';
import type { CellRoot } from '../../format/cell-root.ts';
import { decodeText } from '../../format/byte-fields.ts';
import type { GroupEntry } from '../../format/group-list.ts';
import type { MetadataPointer } from '../../format/metadata-pointer.ts';
import { attributesBytesMax } from '../../format/journal-record.ts';
import { Findings } from '../findings.ts';
import { readCatalog, readGroupList } from '../read/read-cell-tables.ts';
import { type DeadList, readDeadList } from '../read/read-dead-list.ts';
import { readJournal } from '../read/read-journal.ts';
import type { PoolReader } from '../read/pool-reader.ts';
import { readRoot } from '../read/read-root.ts';
import { readStream } from '../read/read-stream.ts';
import { BlockUse, BlockUses } from './block-uses.ts';
import { type CellState, isWaiting, type NodeDeadLists, nodeName } from './cell-state.ts';
import { checkDeadLists } from './check-dead-lists.ts';
import { MapChecker } from './check-maps.ts';
import { checkNodes } from './check-nodes.ts';
import { checkFreeQueue, checkSpace, claimSlots } from './check-space.ts';

/** What cells must agree on. */
export interface CellSummary {
  readonly nodes: readonly CatalogRecord[];
  readonly groups: readonly GroupEntry[];
}

/** Checks a cell. After a crash its journal may hold more, and one copy of the root may be torn or older. */
export async function checkCell(
  options: { reader: PoolReader; cell: number; isAfterCrash: boolean },
  findings: Findings,
): Promise<CellSummary> {
  const { reader, cell, isAfterCrash } = options;
  const lostCopies = new Findings();
  const root = await readRoot(reader, cell, lostCopies);
  if (!root || !isAfterCrash) findings.addAll(lostCopies);
  if (!root) return { nodes: [], groups: [] };
  const left = await countReplayed(reader, root, findings);
  findings.expect(
    left === 0 || isAfterCrash,
    () =>
      `cell ${cell}: ${left} journal blocks follow the last checkpoint; what they changed is not checked`,
  );
  const uses = new BlockUses({ cell, groupBlocks: reader.geometry.groupBlocks }, { findings });
  const groupList = await readGroupList(reader, root, findings);
  for (const { group } of groupList.entries) {
    const isInside = group < reader.groupCount;
    findings.expect(isInside, () => `cell ${cell}: group ${group} is outside of the pool`);
    if (isInside) uses.addGroup(group);
  }
  const groups = groupList.entries.filter(({ group }) => group < reader.groupCount);
  const catalog = await readCatalog(reader, root, findings);
  if (!groupList.isWhole || !catalog.isWhole) uses.giveUp();
  const nodes = new Map(catalog.entries.map((node) => [node.id, node]));
  const children = childrenOf(catalog.entries);
  const base = { reader, findings, root, nodes, children, groups, uses };
  claimSlots({ ...base, deadLists: new Map() });
  for (const pbn of groupList.pbns) uses.claim(pbn, BlockUse.page, () => 'the group list');
  for (const pbn of catalog.pbns) uses.claim(pbn, BlockUse.page, () => 'the catalog');
  const deadLists = await readAllDeadLists(base);
  const state: CellState = { ...base, deadLists };
  checkNodes(state);
  for (const node of catalog.entries) await checkAttributes(state, node);
  checkDeadLists(state);
  await new MapChecker(state).check();
  await checkFreeQueue(state);
  await checkSpace(state);
  return { nodes: catalog.entries, groups };
}

/** Journal blocks with records that recovery would replay. */
async function countReplayed(
  reader: PoolReader,
  root: CellRoot,
  findings: Findings,
): Promise<number> {
  const journal = await readJournal(reader, root, findings);
  return journal?.chain.filter(({ records }) => records?.length !== 0).length ?? 0;
}

function childrenOf(nodes: readonly CatalogRecord[]): Map<number, CatalogRecord[]> {
  const children = new Map<number, CatalogRecord[]>();
  for (const node of nodes) {
    if (node.parent === undefined) continue;
    const siblings = children.get(node.parent) ?? [];
    siblings.push(node);
    children.set(node.parent, siblings);
  }
  return children;
}

async function readAllDeadLists(
  base: Omit<CellState, 'deadLists'>,
): Promise<Map<number, NodeDeadLists>> {
  const lists = new Map<number, NodeDeadLists>();
  for (const node of base.nodes.values()) {
    const data = await readList(node, node.deadData, 'dead data');
    const pages = await readList(node, node.deadMeta, 'dead pages');
    if (data && pages) lists.set(node.id, { data, pages });
  }
  return lists;

  async function readList(
    node: CatalogRecord,
    pointer: MetadataPointer,
    name: string,
  ): Promise<DeadList | undefined> {
    const { root, uses, findings, reader } = base;
    const what = `cell ${root.cell}: ${nodeName(node)}, ${name}`;
    const owner = { cell: root.cell, family: node.family };
    const list = await findings.attempt(what, () => readDeadList(reader, pointer, owner));
    if (!list) uses.giveUp();
    for (const pbn of list?.pbns ?? []) uses.claim(pbn, BlockUse.page, () => what);
    return list;
  }
}

async function checkAttributes(state: CellState, node: CatalogRecord): Promise<void> {
  const { reader, findings, root, uses } = state;
  const what = `cell ${root.cell}: ${nodeName(node)}, attributes`;
  const owner = { cell: root.cell, family: node.family };
  const stream = await findings.attempt(what, () => readStream(reader, node.attributes, owner));
  if (!stream) return uses.giveUp();
  for (const pbn of stream.pbns) uses.claim(pbn, BlockUse.page, () => what);
  const { length } = stream.bytes;
  findings.expect(length <= attributesBytesMax, () => `${what} have ${length} bytes`);
  if (isWaiting(node) || node.isWalking || length === 0) return;
  const text = await findings.attempt(what, async () => decodeText(stream.bytes, 0));
  if (text !== undefined) {
    findings.expect(
      isJsonObject(text),
      () => `${what} are not a JSON object: ${text.slice(0, 40)}`,
    );
  }
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
