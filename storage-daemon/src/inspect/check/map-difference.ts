/**
 * Compares the maps of a node and its parent. What both point to is the same below, so only pages in which they differ
 * are read: a comparison costs what has changed since the snapshot, not what the volume holds.
 */
import { countBits, extensionsMax, type SplitRecord } from '../../format/map-leaf.ts';
import { type MetadataPointer, nullPointer } from '../../format/metadata-pointer.ts';
import { leafBlocks } from '../../format/pool-layout.ts';
import { clusterSizeBlocks } from '../../units.ts';
import type { Findings } from '../findings.ts';
import { BlockList } from '../read/block-list.ts';
import {
  loadLeaf,
  loadTable,
  type LoadedLeaf,
  type MapOwner,
  type MapPosition,
} from '../read/map-tree.ts';
import type { PoolReader } from '../read/pool-reader.ts';

/** A map of which only what was born up to an epoch counts. */
export interface BoundedMap {
  readonly root: MetadataPointer;
  readonly level: number;
  readonly bornMax: number;
}

/** What one of two maps has and the other has not (or elsewhere). */
export interface OneSide {
  readonly data: BlockList;
  readonly pages: BlockList;
}

/** The difference of two maps, sorted. */
export interface MapDifference {
  readonly dropped: OneSide;
  readonly added: OneSide;
  /** Blocks of natural clusters without data that the child has more than its parent. */
  readonly slackGrowth: number;
  /** False if a page could not be read. */
  readonly isWhole: boolean;
}

/** The same thing in both maps. */
interface Sides<T> {
  readonly parent: T;
  readonly child: T;
}

/** What `parent` has and `child` has not, and the reverse. */
export async function compareMaps(
  maps: Sides<BoundedMap> & { readonly owner: MapOwner; readonly what: string },
  dependencies: { reader: PoolReader; findings: Findings },
): Promise<MapDifference> {
  const comparison = new Comparison(maps, dependencies);
  const { parent, child } = maps;
  const top = Math.max(parent.level, child.level);
  await comparison.compare({ parent: parent.root, child: child.root }, { level: top, index: 0 });
  return comparison.result();
}

class Comparison {
  readonly #maps: Sides<BoundedMap> & { readonly owner: MapOwner; readonly what: string };
  readonly #reader: PoolReader;
  readonly #findings: Findings;
  readonly #dropped: OneSide = { data: new BlockList(), pages: new BlockList() };
  readonly #added: OneSide = { data: new BlockList(), pages: new BlockList() };
  #slackGrowth = 0;
  #isWhole = true;

  constructor(
    maps: Sides<BoundedMap> & { readonly owner: MapOwner; readonly what: string },
    dependencies: { reader: PoolReader; findings: Findings },
  ) {
    this.#maps = maps;
    this.#reader = dependencies.reader;
    this.#findings = dependencies.findings;
  }

  result(): MapDifference {
    for (const side of [this.#dropped, this.#added]) {
      side.data.sort();
      side.pages.sort();
    }
    return {
      dropped: this.#dropped,
      added: this.#added,
      slackGrowth: this.#slackGrowth,
      isWhole: this.#isWhole,
    };
  }

  /** A map that is lower than `level` stands below the first pointer of a page that it does not have. */
  async compare(sides: Sides<MetadataPointer>, at: MapPosition): Promise<void> {
    const isLower = {
      parent: this.#maps.parent.level < at.level,
      child: this.#maps.child.level < at.level,
    };
    const own = {
      parent: isLower.parent ? nullPointer : sides.parent,
      child: isLower.child ? nullPointer : sides.child,
    };
    if (!isLower.parent && !isLower.child && this.#isSame(own)) return;
    this.#take('pages', own);
    const isRead = await this.#findings.attempt(this.#maps.what, async () => {
      if (at.level === 0) await this.#compareLeaves(own, at.index);
      else {
        const children = {
          parent: isLower.parent ? [sides.parent] : await this.#childrenOf(own.parent, at),
          child: isLower.child ? [sides.child] : await this.#childrenOf(own.child, at),
        };
        await this.#compareChildren(children, at);
      }
      return true;
    });
    if (!isRead) this.#isWhole = false;
  }

  async #compareChildren(
    { parent, child }: Sides<readonly MetadataPointer[]>,
    { level, index }: MapPosition,
  ): Promise<void> {
    const fanOut = this.#reader.geometry.tableFanOut;
    for (let slot = 0; slot < fanOut; slot++) {
      const pair = { parent: parent[slot] ?? nullPointer, child: child[slot] ?? nullPointer };
      if (pair.parent.pbn === 0 && pair.child.pbn === 0) continue;
      await this.compare(pair, { level: level - 1, index: index * fanOut + slot });
    }
  }

  async #childrenOf(
    pointer: MetadataPointer,
    at: MapPosition,
  ): Promise<readonly MetadataPointer[]> {
    return pointer.pbn === 0 ? [] : loadTable(this.#reader, this.#maps.owner, pointer, at);
  }

  async #compareLeaves(sides: Sides<MetadataPointer>, index: number): Promise<void> {
    const parent = await this.#leafOf(sides.parent, index);
    const child = await this.#leafOf(sides.child, index);
    for (let extension = 0; extension < extensionsMax; extension++) {
      const pair = {
        parent: parent?.extensions[extension] ?? nullPointer,
        child: child?.extensions[extension] ?? nullPointer,
      };
      if (!this.#isSame(pair)) this.#take('pages', pair);
    }
    const { geometry } = this.#reader;
    for (let cluster = 0; cluster < geometry.leafClusters; cluster++) {
      const records = { parent: parent?.records[cluster], child: child?.records[cluster] };
      const firstLbn = index * leafBlocks(geometry) + cluster * clusterSizeBlocks;
      if (records.parent || records.child) this.#compareRecords(records, firstLbn);
      const slackBefore = countBits(parent?.slackMasks[cluster] ?? 0);
      this.#slackGrowth += countBits(child?.slackMasks[cluster] ?? 0) - slackBefore;
    }
  }

  async #leafOf(pointer: MetadataPointer, index: number): Promise<LoadedLeaf | undefined> {
    if (pointer.pbn === 0) return undefined;
    return loadLeaf(this.#reader, this.#maps.owner, pointer, { index, above: 0 });
  }

  #compareRecords(records: Sides<SplitRecord | undefined>, firstLbn: number): void {
    for (let block = 0; block < clusterSizeBlocks; block++) {
      const parent = entryOf(records.parent, block);
      const child = entryOf(records.child, block);
      if (parent.pbn !== child.pbn) {
        this.#take('data', { parent, child });
        continue;
      }
      this.#findings.expect(
        parent.birth === child.birth,
        () =>
          `${this.#maps.what}: block ${firstLbn + block} was born in epoch ${parent.birth} to the parent ` +
          `and in ${child.birth} to the child`,
      );
    }
  }

  #take(kind: keyof OneSide, { parent, child }: Sides<Born>): void {
    if (parent.pbn !== 0 && parent.birth <= this.#maps.parent.bornMax) {
      this.#dropped[kind].add(parent.pbn, parent.birth);
    }
    if (child.pbn !== 0 && child.birth <= this.#maps.child.bornMax) {
      this.#added[kind].add(child.pbn, child.birth);
    }
  }

  #isSame({ parent, child }: Sides<MetadataPointer>): boolean {
    if (parent.pbn !== child.pbn) return false;
    this.#findings.expect(
      parent.birth === child.birth && parent.crc === child.crc,
      () => `${this.#maps.what}: both point to page ${parent.pbn} with other births or checksums`,
    );
    return true;
  }
}

interface Born {
  readonly pbn: number;
  readonly birth: number;
}

function entryOf(record: SplitRecord | undefined, block: number): Born {
  return { pbn: record?.[block] ?? 0, birth: record?.[clusterSizeBlocks + block] ?? 0 };
}
