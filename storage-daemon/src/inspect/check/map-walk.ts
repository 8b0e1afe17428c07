/**
 * Goes through the part of a map that was born after some epoch. Births never grow downwards, so what is older is cut
 * off at its topmost page: a walk costs what the node alone owns.
 */
import { countBits, type SplitRecord } from '../../format/map-leaf.ts';
import type { MetadataPointer } from '../../format/metadata-pointer.ts';
import { leafBlocks, spanBlocks } from '../../format/pool-layout.ts';
import { clusterSizeBlocks } from '../../units.ts';
import type { Findings } from '../findings.ts';
import { loadLeaf, loadTable, type MapOwner, type MapPosition } from '../read/map-tree.ts';
import type { PoolReader } from '../read/pool-reader.ts';

/** Which part of which map. */
export interface WalkedMap extends MapOwner {
  readonly what: string;
  readonly root: MetadataPointer;
  readonly level: number;
  readonly sizeBlocks: number;
  /** Only what was born later. */
  readonly above: number;
  /** Only from this block on. */
  readonly fromLbn: number;
}

/** What is met on the way. */
export interface MapVisitor {
  page(pointer: MetadataPointer, describe: () => string): void;
  block(lbn: number, pbn: number, birth: number): void;
  /** So many blocks of a cluster, told of before, hold no data. */
  slack?(blockCount: number): void;
}

/** Visits pages before what is below them. False if a page could not be read. */
export async function walkMap(
  map: WalkedMap,
  visitor: MapVisitor,
  dependencies: { reader: PoolReader; findings: Findings },
): Promise<boolean> {
  const walk = new Walk(map, visitor, dependencies);
  await walk.visit(map.root, { level: map.level, index: 0 });
  return walk.isWhole;
}

class Walk {
  isWhole = true;
  readonly #map: WalkedMap;
  readonly #visitor: MapVisitor;
  readonly #reader: PoolReader;
  readonly #findings: Findings;

  constructor(
    map: WalkedMap,
    visitor: MapVisitor,
    dependencies: { reader: PoolReader; findings: Findings },
  ) {
    this.#map = map;
    this.#visitor = visitor;
    this.#reader = dependencies.reader;
    this.#findings = dependencies.findings;
  }

  async visit(pointer: MetadataPointer, position: MapPosition): Promise<void> {
    const { above, fromLbn, what } = this.#map;
    const end = (position.index + 1) * spanBlocks(this.#reader.geometry, position.level);
    if (pointer.pbn === 0 || pointer.birth <= above || end <= fromLbn) return;
    const name = `${what}, page ${position.index} of level ${position.level}`;
    this.#visitor.page(pointer, () => name);
    const isRead = await this.#findings.attempt(name, async () => {
      if (position.level === 0) await this.#visitLeaf(pointer, position.index, name);
      else await this.#visitTable(pointer, position, name);
      return true;
    });
    if (!isRead) this.isWhole = false;
  }

  async #visitTable(pointer: MetadataPointer, position: MapPosition, name: string): Promise<void> {
    const children = await loadTable(this.#reader, this.#map, pointer, position);
    const wanted = children.filter(({ birth }) => birth > this.#map.above);
    await this.#reader.fetchAhead(wanted.map(({ pbn }) => pbn));
    for (const [child, each] of children.entries()) {
      this.#checkBirth(each, pointer.birth, () => `${name}, child ${child}`);
      const index = position.index * children.length + child;
      await this.visit(each, { level: position.level - 1, index });
    }
  }

  async #visitLeaf(pointer: MetadataPointer, index: number, name: string): Promise<void> {
    const { above } = this.#map;
    const leaf = await loadLeaf(this.#reader, this.#map, pointer, { index, above });
    for (const [extension, each] of leaf.extensions.entries()) {
      const describe = () => `${name}, extension ${extension}`;
      this.#checkBirth(each, pointer.birth, describe);
      if (each.pbn !== 0 && each.birth > above) this.#visitor.page(each, describe);
    }
    const firstLbn = index * leafBlocks(this.#reader.geometry);
    for (const [cluster, record] of leaf.records.entries()) {
      if (!record) continue;
      const clusterLbn = firstLbn + cluster * clusterSizeBlocks;
      const slackMask = leaf.slackMasks[cluster]!;
      const pageBirth = leaf.pageBirths[cluster]!;
      this.#visitRecord(record, { firstLbn: clusterLbn, pageBirth, slackMask });
      if (slackMask !== 0) this.#visitNatural(record, { firstLbn: clusterLbn, slackMask });
    }
  }

  #visitNatural(
    record: SplitRecord,
    { firstLbn, slackMask }: { firstLbn: number; slackMask: number },
  ): void {
    const { above, fromLbn } = this.#map;
    const isMet = record[clusterSizeBlocks]! > above && firstLbn >= fromLbn;
    if (isMet) this.#visitor.slack?.(countBits(slackMask));
  }

  #visitRecord(
    record: SplitRecord,
    { firstLbn, pageBirth, slackMask }: { firstLbn: number; pageBirth: number; slackMask: number },
  ): void {
    const { what, sizeBlocks, above, fromLbn } = this.#map;
    for (let block = 0; block < clusterSizeBlocks; block++) {
      const pbn = record[block]!;
      const birth = record[clusterSizeBlocks + block]!;
      const lbn = firstLbn + block;
      if (pbn === 0) continue;
      this.#checkBirth({ pbn, birth }, pageBirth, () => `${what}, block ${lbn}`);
      this.#findings.expect(
        lbn < sizeBlocks || ((slackMask >>> block) & 1) === 1,
        () => `${what}: block ${lbn} is mapped, it has ${sizeBlocks} blocks`,
      );
      if (birth > above && lbn >= fromLbn) this.#visitor.block(lbn, pbn, birth);
    }
  }

  #checkBirth(
    { pbn, birth }: { pbn: number; birth: number },
    pageBirth: number,
    describe: () => string,
  ): void {
    if (pbn === 0) return;
    this.#findings.expect(
      birth <= pageBirth,
      () => `${describe()} was born in epoch ${birth}, the page above it in ${pageBirth}`,
    );
    this.#findings.expect(birth > 0, () => `${describe()} has no birth`);
  }
}
