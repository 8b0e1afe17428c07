/**
 * What must hold of the maps: every node's own blocks and pages have this one use, and the dead lists of a node are
 * exactly what its parent references and it does not.
 */
import type { CatalogRecord } from '../../format/catalog-record.ts';
import { volumeSizeBlocksMax } from '../../units.ts';
import { Findings } from '../findings.ts';
import { BlockList, shared, union, walkPairs, without } from '../read/block-list.ts';
import { BlockUse } from './block-uses.ts';
import { type CellState, isWaiting, nodeName, parentEpoch } from './cell-state.ts';
import { type BoundedMap, compareMaps } from './map-difference.ts';
import { walkMap } from './map-walk.ts';

/**
 * What a node references: what a map names up to some birth, and extras. The map of a waiting snapshot is a child's;
 * the extras are what this child has dropped since.
 */
interface References extends BoundedMap {
  readonly sizeBlocks: number;
  readonly extraData: BlockList;
  readonly extraPages: BlockList;
  /** False if a dead list that it follows from could not be read. */
  readonly isKnown: boolean;
}

const nothing = new BlockList();
/** Examples in a finding about a whole list. */
const examplesMax = 5;

/** Checks the maps of all nodes of a cell. */
export class MapChecker {
  readonly #state: CellState;
  readonly #references = new Map<number, References>();
  readonly #seen = new Set<number>();

  constructor(state: CellState) {
    this.#state = state;
  }

  async check(): Promise<void> {
    const { nodes, uses } = this.#state;
    for (const node of nodes.values()) {
      const isTop = node.parent === undefined || !nodes.has(node.parent);
      if (isTop) await this.#checkTree(node);
    }
    if (this.#seen.size < nodes.size) uses.giveUp();
  }

  /** Parents before children, because what a node references follows from what its parent does. */
  async #checkTree(top: CatalogRecord): Promise<void> {
    const { nodes, deadLists, children } = this.#state;
    const waiting: { node: CatalogRecord; parentReferenced: number; parentSlack?: number }[] = [
      { node: top, parentReferenced: 0, parentSlack: 0 },
    ];
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      const { node, parentReferenced, parentSlack } = next;
      if (this.#seen.has(node.id)) continue;
      this.#seen.add(node.id);
      const { own, ownSlack } = await this.#checkOwn(node);
      const parent = node.parent === undefined ? undefined : nodes.get(node.parent);
      const dead = deadLists.get(node.id)?.data.blocks.length ?? 0;
      const referenced = parent ? parentReferenced + own - dead : own;
      this.#checkCounters(node, { own, referenced });
      const growth = parent && (await this.#checkEdge(parent, node));
      const slack = parent ? await this.#slackOf(node, parentSlack, growth) : ownSlack;
      this.#checkSlack(node, slack);
      for (const child of children.get(node.id) ?? []) {
        waiting.push({
          node: child,
          parentReferenced: referenced,
          ...(slack !== undefined && { parentSlack: slack }),
        });
      }
    }
  }

  #referencesOf(node: CatalogRecord): References {
    const known = this.#references.get(node.id);
    if (known) return known;
    const references = isWaiting(node) ? this.#deriveReferences(node) : ownReferences(node);
    this.#references.set(node.id, references);
    return references;
  }

  #deriveReferences(node: CatalogRecord): References {
    const child = this.#state.children.get(node.id)?.[0];
    const dead = child && this.#state.deadLists.get(child.id);
    if (!child || !dead) return { ...ownReferences(node), isKnown: false };
    const below = this.#referencesOf(child);
    return {
      ...below,
      bornMax: Math.min(below.bornMax, node.epoch),
      sizeBlocks: volumeSizeBlocksMax,
      extraData: union(bornUpTo(below.extraData, node.epoch), dead.data.blocks),
      extraPages: union(bornUpTo(below.extraPages, node.epoch), dead.pages.blocks),
    };
  }

  /** Slack of a node below another: from that one's and their difference, or, if it has no map, by a walk. */
  async #slackOf(
    node: CatalogRecord,
    parentSlack: number | undefined,
    growth: number | undefined,
  ): Promise<number | undefined> {
    if (isWaiting(node)) return undefined;
    if (parentSlack !== undefined && growth !== undefined) return parentSlack + growth;
    const { root, reader } = this.#state;
    const { level, sizeBlocks, family } = node;
    let slack = 0;
    const isWhole = await walkMap(
      {
        cell: root.cell,
        family,
        what: '',
        above: 0,
        sizeBlocks,
        level,
        root: node.root,
        fromLbn: 0,
      },
      { page() {}, block() {}, slack: (count) => (slack += count) },
      // What is wrong with these pages is said where they are checked.
      { reader, findings: new Findings() },
    );
    return isWhole ? slack : undefined;
  }

  #checkSlack(node: CatalogRecord, slack: number | undefined): void {
    const { findings, root } = this.#state;
    findings.expect(
      slack === undefined || node.isDeleted || node.slackBlocks === slack,
      () =>
        `cell ${root.cell}: ${nodeName(node)} counts ${node.slackBlocks} blocks of slack and has ${slack}`,
    );
  }

  /** Claims all that the node references and its parent does not. Returns the numbers of data blocks, and of slack. */
  async #checkOwn(node: CatalogRecord): Promise<{ own: number; ownSlack: number | undefined }> {
    const { uses, root } = this.#state;
    const references = this.#referencesOf(node);
    const what = `cell ${root.cell}: ${nodeName(node)}`;
    const above = node.isWalking ? node.walkBound : parentEpoch(this.#state, node);
    const { bornMax, sizeBlocks, level } = references;
    let own = 0;
    let ownSlack = 0;
    const isWhole = await walkMap(
      {
        cell: root.cell,
        family: node.family,
        what,
        above,
        sizeBlocks,
        level,
        root: references.root,
        fromLbn: node.walkCursor,
      },
      {
        page(pointer, describe) {
          if (pointer.birth <= bornMax) uses.claim(pointer.pbn, BlockUse.page, describe);
        },
        block(lbn, pbn, birth) {
          if (birth > bornMax) return;
          own++;
          uses.claim(pbn, BlockUse.data, () => `${what}, block ${lbn}`);
        },
        slack(blockCount) {
          ownSlack += blockCount;
        },
      },
      this.#state,
    );
    if (!isWhole || !references.isKnown) uses.giveUp();
    for (const pbn of bornAfter(references.extraData, above)) {
      own++;
      uses.claim(pbn, BlockUse.data, () => `${what}, through a child's dead list`);
    }
    for (const pbn of bornAfter(references.extraPages, above)) {
      uses.claim(pbn, BlockUse.page, () => `${what}, through a child's list of dead pages`);
    }
    return { own, ownSlack: isWhole ? ownSlack : undefined };
  }

  #checkCounters(
    node: CatalogRecord,
    { own, referenced }: { own: number; referenced: number },
  ): void {
    const { findings, root, uses } = this.#state;
    if (!uses.isWhole) return;
    const what = `cell ${root.cell}: ${nodeName(node)}`;
    findings.expect(
      node.ownBlocks === own,
      () => `${what} counts ${node.ownBlocks} blocks as its own and has ${own}`,
    );
    findings.expect(
      node.isWalking || node.referencedBlocks === referenced,
      () => `${what} counts ${node.referencedBlocks} referenced blocks and has ${referenced}`,
    );
  }

  /** Returns how much more slack the child has than its parent; undefined if that cannot be told. */
  async #checkEdge(parent: CatalogRecord, child: CatalogRecord): Promise<number | undefined> {
    const { children, deadLists, root, findings } = this.#state;
    const dead = deadLists.get(child.id);
    const before = this.#referencesOf(parent);
    const after = this.#referencesOf(child);
    // What a waiting snapshot references is derived from its first child: that pair has nothing to tell.
    const isDerived = isWaiting(parent) && children.get(parent.id)?.[0] === child;
    if (!dead || !before.isKnown || !after.isKnown || isDerived) return undefined;
    const what = `cell ${root.cell}: ${nodeName(child)} against its parent`;
    const owner = { cell: root.cell, family: child.family };
    const { dropped, added, slackGrowth, isWhole } = await compareMaps(
      { parent: before, child: after, owner, what },
      this.#state,
    );
    if (!isWhole) return undefined;
    const epoch = parent.epoch;
    checkDropped(
      { findings, what, epoch, noun: 'blocks' },
      {
        dropped: dropped.data,
        added: added.data,
        dead: dead.data.blocks,
        extraBefore: before.extraData,
        extraAfter: after.extraData,
      },
    );
    checkDropped(
      { findings, what, epoch, noun: 'pages' },
      {
        dropped: dropped.pages,
        added: added.pages,
        dead: dead.pages.blocks,
        extraBefore: before.extraPages,
        extraAfter: after.extraPages,
      },
    );
    return slackGrowth;
  }
}

function ownReferences({ root, level, sizeBlocks }: CatalogRecord): References {
  const extras = { extraData: nothing, extraPages: nothing };
  return { root, level, sizeBlocks, bornMax: Infinity, ...extras, isKnown: true };
}

function bornUpTo(list: BlockList, epoch: number): BlockList {
  const result = new BlockList();
  for (let index = 0; index < list.length; index++) {
    if (list.birth(index) <= epoch) result.add(list.pbn(index), list.birth(index));
  }
  return result;
}

function bornAfter(list: BlockList, epoch: number): number[] {
  const pbns: number[] = [];
  for (let index = 0; index < list.length; index++) {
    if (list.birth(index) > epoch) pbns.push(list.pbn(index));
  }
  return pbns;
}

/** Compares what a child dropped with its dead list, and what it has of its own with its parent's epoch. */
function checkDropped(
  {
    findings,
    what,
    epoch,
    noun,
  }: { findings: Findings; what: string; epoch: number; noun: 'blocks' | 'pages' },
  lists: Record<'dropped' | 'added' | 'extraBefore' | 'extraAfter' | 'dead', BlockList>,
): void {
  report(shared(lists.dropped, lists.added), `${noun} that moved to another place`);
  report(shared(lists.dropped, lists.extraBefore), `${noun} that the parent names twice`);
  report(shared(lists.added, lists.extraAfter), `${noun} that the child names twice`);
  const before = union(lists.dropped, lists.extraBefore);
  const after = union(lists.added, lists.extraAfter);
  const dropped = without(before, after);
  report(without(dropped, lists.dead), `${noun} that it dropped and its dead list lacks`);
  report(without(lists.dead, dropped), `${noun} in its dead list that it did not drop`);
  const otherBirths = new BlockList();
  walkPairs(dropped, lists.dead, (first, second) => {
    if (first === undefined || second === undefined) return;
    if (dropped.birth(first) === lists.dead.birth(second)) return;
    otherBirths.add(dropped.pbn(first), dropped.birth(first));
  });
  report(otherBirths, `${noun} in its dead list with another birth`);
  const tooOld = bornUpTo(without(after, before), epoch);
  report(tooOld, `${noun} that the parent lacks, born up to the parent's epoch ${epoch}`);

  function report(list: BlockList, text: string): void {
    if (list.length === 0) return;
    const examples: string[] = [];
    for (let index = 0; index < Math.min(list.length, examplesMax); index++) {
      examples.push(`${list.pbn(index)} (birth ${list.birth(index)})`);
    }
    findings.add(`${what}: ${list.length} ${text}: ${examples.join(', ')}`);
  }
}
