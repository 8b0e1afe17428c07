/**
 * Writes the image that a spec describes, through the format codecs alone, valid or not: no part of the store, which
 * could not be made to write a broken pool.
 */
import { assert } from '@varve/common/assert';

import { encodeText } from '../../format/byte-fields.ts';
import {
  type CatalogRecord,
  catalogRecordBytes,
  catalogRecordsPerPage,
  encodeCatalogRecord,
} from '../../format/catalog-record.ts';
import { type CellRoot, encodeCellRoot, rootCopies } from '../../format/cell-root.ts';
import { crc32c } from '../../format/checksum.ts';
import {
  type DeadSegmentRecord,
  encodeDeadDirectory,
  encodeDeadPage,
  encodeFreeQueue,
} from '../../format/dead-list.ts';
import { encodeGroupListPage } from '../../format/group-list.ts';
import { journalSeed, journalSlots, sealJournalBlock } from '../../format/journal-block.ts';
import { encodeJournalRecord } from '../../format/journal-record.ts';
import {
  emptyLeaf,
  emptySplitRecord,
  encodeMapExtension,
  encodeMapLeaf,
  extensionRecords,
  inlineRecords,
  type SplitRecord,
} from '../../format/map-leaf.ts';
import { type MetadataPointer, nullPointer } from '../../format/metadata-pointer.ts';
import { PageType } from '../../format/page-header.ts';
import {
  bitmapSlots,
  cellRootBlock,
  journalBlockOf,
  layOutDevices,
  superblockBlocks,
} from '../../format/pool-layout.ts';
import { encodeStreamPage } from '../../format/stream-page.ts';
import { encodeSuperblock, type PoolGeometry } from '../../format/superblock.ts';
import { emptyTable, encodeTablePage } from '../../format/table-page.ts';
import { blockSizeBytes, clusterSizeBlocks } from '../../units.ts';
import { SimImage } from '../sim-image.ts';
import type {
  BornName,
  BucketSpec,
  ImageSpec,
  ItemSpec,
  LeafSpec,
  NodeSpec,
} from './image-spec.ts';

/** Geometry of all images, but for the number of cells: small enough that a few blocks meet every boundary. */
const imageGeometry: PoolGeometry = {
  groupBlocks: 256,
  ringBlocks: 8,
  cellCount: 1,
  tableFanOut: 4,
  leafClusters: 16,
  reserveBlocks: 64,
};
const sizeBlocks = 2304;
const family = 1;
const generation = 3;
const poolUuid = new Uint8Array(16).fill(7);
const devices = layOutDevices(imageGeometry, [{ uuid: new Uint8Array(16).fill(8), sizeBlocks }]);

/** Writes a pool with these cells. */
export function buildImage(specs: readonly ImageSpec[]): {
  readonly image: SimImage;
  readonly cells: readonly CellImageBuilder[];
} {
  const image = new SimImage(sizeBlocks);
  const cells = specs.map((spec, cell) => new CellImageBuilder(spec, { cell, image }).build());
  writeSuperblocks(image, { ...imageGeometry, cellCount: specs.length });
  return { image, cells };
}

/** Writes one cell. */
class CellImageBuilder {
  readonly #image: SimImage;
  readonly #cell: number;
  readonly #spec: ImageSpec;
  readonly #pbns = new Map<string, number>();
  readonly #crcs = new Map<string, number>();
  /** Named pages of metadata; data has names too. */
  readonly #pages = new Set<string>();
  #nextPbn: number;

  constructor(spec: ImageSpec, options: { cell: number; image: SimImage }) {
    this.#spec = spec;
    this.#cell = options.cell;
    this.#image = options.image;
    this.#nextPbn = spec.groups[0]!.group * imageGeometry.groupBlocks + bitmapSlots;
  }

  /** Block number of a named block or page; `#250` is block 250, which does not count as allocated. */
  pbnOf(name: string): number {
    if (name === 'null') return 0;
    let pbn = this.#pbns.get(name);
    if (pbn === undefined) {
      pbn = /^#\d+$/.test(name) ? Number(name.slice(1)) : this.#nextPbn++;
      this.#pbns.set(name, pbn);
    }
    return pbn;
  }

  /** Device block of a pbn. */
  blockOf(pbn: number): number {
    return devices[0]!.groupStartBlock + pbn;
  }

  build(): this {
    const { leaves, tables, nodes } = this.#spec;
    for (const [name, leaf] of Object.entries(leaves)) this.#writeLeaf(name, leaf);
    const byLevel = Object.entries(tables).toSorted(([, a], [, b]) => a.level - b.level);
    for (const [name, { level, index, children }] of byLevel) {
      const position = { type: PageType.mapTable, level, cell: this.#cell, family, index };
      this.#writeTable(name, position, Object.entries(children));
    }
    const records = nodes.map((node) => this.#recordOf(node));
    const catalog = { pointer: this.#writeCatalog(records), count: this.#catalogPageCount };
    const items = this.#spec.queue.map((item) => this.#itemOf(item));
    const freeQueue = {
      pointer: this.#writeStream('queue', encodeFreeQueue(items), 0),
      count: items.length,
    };
    this.#writeRoot({ catalog, freeQueue });
    this.#writeJournal();
    const end = (this.#spec.groups[0]!.group + 1) * imageGeometry.groupBlocks;
    assert(this.#nextPbn <= end, 'the cell fits its first group');
    return this;
  }

  #born(name: BornName): { pbn: number; birth: number; name: string } {
    const [block, birth] = name.split(':') as [string, string];
    return { name: block, pbn: this.pbnOf(block), birth: Number(birth) };
  }

  /** A pointer to a page that was written already. */
  #pointer(name: BornName): MetadataPointer {
    const { name: page, pbn, birth } = this.#born(name);
    return { pbn, crc: this.#crcs.get(page) ?? 0, birth };
  }

  #write(name: string, encode: (page: Uint8Array) => void): MetadataPointer {
    const page = new Uint8Array(blockSizeBytes);
    encode(page);
    const patches = this.#spec.patches.filter((patch) => patch.page === name);
    for (const { offsetBytes, bytes } of patches.filter((patch) => patch.isUnnoticed)) {
      page.set(bytes, offsetBytes);
    }
    const crc = crc32c(page);
    for (const { offsetBytes, bytes } of patches.filter((patch) => !patch.isUnnoticed)) {
      page.set(bytes, offsetBytes);
    }
    const pbn = this.pbnOf(name);
    this.#image.writeDurable(this.blockOf(pbn), page);
    this.#crcs.set(name, crc);
    this.#pages.add(name);
    return { pbn, crc, birth: 0 };
  }

  #writeLeaf(name: string, { index, entries, extensions = [] }: LeafSpec): void {
    const leaf = emptyLeaf();
    const records = new Map<number, SplitRecord>();
    for (const [lbn, born] of Object.entries(entries)) {
      const cluster = Math.floor(Number(lbn) / clusterSizeBlocks);
      const record = records.get(cluster) ?? emptySplitRecord();
      records.set(cluster, record);
      const { pbn, birth } = this.#born(born);
      record[Number(lbn) % clusterSizeBlocks] = pbn;
      record[clusterSizeBlocks + (Number(lbn) % clusterSizeBlocks)] = birth;
    }
    const pages = extensions.map(() =>
      Array.from<unknown, SplitRecord | undefined>({ length: extensionRecords }, () => undefined),
    );
    for (const [order, [cluster, record]] of [...records].entries()) {
      leaf.splitIndex[cluster] = order;
      const beyond = order - inlineRecords;
      if (beyond < 0) leaf.inline[order] = record;
      else pages[Math.floor(beyond / extensionRecords)]![beyond % extensionRecords] = record;
    }
    for (const [page, born] of extensions.entries()) {
      const { name: extension } = this.#born(born);
      if (!this.#crcs.has(extension)) {
        this.#write(extension, (target) => encodeMapExtension(pages[page]!, target));
      }
      const pointer = this.#pointer(born);
      leaf.extPbn[page] = pointer.pbn;
      leaf.extCrc[page] = pointer.crc;
      leaf.extBirth[page] = pointer.birth;
    }
    const position = { type: PageType.mapLeaf, level: 0, cell: this.#cell, family, index };
    this.#write(name, (target) => encodeMapLeaf(leaf, { position, generation }, target));
  }

  #writeTable(
    name: string,
    position: Parameters<typeof encodeTablePage>[1]['position'],
    children: readonly (readonly [string, BornName])[],
  ): MetadataPointer {
    const table = emptyTable();
    for (const [slot, child] of children) {
      const pointer = this.#pointer(child);
      table.pbn[Number(slot)] = pointer.pbn;
      table.crc[Number(slot)] = pointer.crc;
      table.birth[Number(slot)] = pointer.birth;
    }
    return this.#write(name, (target) => encodeTablePage(table, { position, generation }, target));
  }

  #writeStream(name: string, bytes: Uint8Array, ofFamily: number): MetadataPointer {
    if (bytes.length === 0) return nullPointer;
    const place = { cell: this.#cell, family: ofFamily, level: 0, index: 0, generation };
    return this.#write(name, (target) => encodeStreamPage(bytes, place, target));
  }

  #segmentsOf(name: string, entries: readonly BornName[], isPaged: boolean): DeadSegmentRecord[] {
    const born = entries.map((entry) => this.#born(entry));
    const list = { pbns: born.map(({ pbn }) => pbn), births: born.map(({ birth }) => birth) };
    if (!isPaged) return [{ kind: 'entries', ...list }];
    const { pbn, crc } = this.#write(name, (target) => encodeDeadPage(list, target));
    return [{ kind: 'page', pbn, crc, count: entries.length }];
  }

  #deadList(name: string, buckets: readonly BucketSpec[] = []): MetadataPointer {
    const records = buckets.map(({ birthLow, entries, isPaged, blockCount }) => ({
      birthLow,
      blockCount: blockCount ?? entries.length,
      segments: this.#segmentsOf(`${name} above ${birthLow}`, entries, isPaged === true),
    }));
    return this.#writeStream(name, encodeDeadDirectory(records), family);
  }

  #itemOf({ id, isMeta, done, entries, isPaged, blockCount }: ItemSpec) {
    const segments = this.#segmentsOf(`item ${id}`, entries, isPaged === true);
    return { id, isMeta, done, blockCount: blockCount ?? entries.length, segments };
  }

  #recordOf({ map, attributes = '{}', deadData, deadMeta, ...rest }: NodeSpec): CatalogRecord {
    const name = `node ${rest.id}`;
    const numbers = {
      childCount: 0,
      epoch: 0,
      curEpoch: 0,
      deadBlocks: 0,
      slackBlocks: 0,
      walkCursor: 0,
      walkBound: 0,
    };
    return {
      kind: 'volume',
      isDeleted: false,
      isWalking: false,
      level: 1,
      family,
      parent: undefined,
      sizeBlocks: 1024,
      referencedBlocks: 0,
      ownBlocks: 0,
      createdMs: 1_700_000_000_000,
      uuid: new Uint8Array(16).fill(rest.id),
      name: '',
      ...numbers,
      ...rest,
      root: map === undefined ? nullPointer : this.#pointer(map),
      attributes: this.#writeStream(`${name} attributes`, encodeText(attributes), family),
      deadData: this.#deadList(`${name} dead data`, deadData),
      deadMeta: this.#deadList(`${name} dead pages`, deadMeta),
    };
  }

  get #catalogPageCount(): number {
    const ids = this.#spec.nodes.map(({ id }) => id);
    return Math.floor(Math.max(...ids) / catalogRecordsPerPage) + 1;
  }

  #writeCatalog(records: readonly CatalogRecord[]): MetadataPointer {
    const pages: [string, BornName][] = [];
    for (let index = 0; index < this.#catalogPageCount; index++) {
      this.#write(`catalog ${index}`, (target) => {
        for (const record of records) {
          const start = (record.id - index * catalogRecordsPerPage) * catalogRecordBytes;
          if (start < 0 || start >= blockSizeBytes) continue;
          encodeCatalogRecord(record, target.subarray(start, start + catalogRecordBytes));
        }
      });
      pages.push([String(index), `catalog ${index}:0`]);
    }
    return this.#writeIndex('catalog', PageType.catalogTable, pages);
  }

  #writeIndex(name: string, type: PageType, pages: readonly [string, BornName][]): MetadataPointer {
    const position = { type, cell: this.#cell, family: 0, index: 0 };
    this.#writeTable(`${name} table`, { ...position, level: 1 }, pages);
    return this.#writeTable(`${name} root`, { ...position, level: 2 }, [['0', `${name} table:0`]]);
  }

  #writeRoot(counted: Pick<CellRoot, 'catalog' | 'freeQueue'>): void {
    // All names must have their blocks before the bitmaps are taken.
    for (const name of ['groups 0', 'groups table', 'groups root']) this.pbnOf(name);
    for (const name of this.#spec.leaked) this.pbnOf(name);
    const bitmaps = this.#spec.groups.map(({ group }) => this.#bitmapOf(group));
    const entries = this.#spec.groups.map((entry, order) => {
      const bitmap = bitmaps[order]!;
      const pbn = entry.group * imageGeometry.groupBlocks + 1;
      this.#image.writeDurable(this.blockOf(pbn), bitmap);
      const freeBlocks = imageGeometry.groupBlocks - countBits(bitmap);
      return { bitmapCrc: crc32c(bitmap), slotGeneration: 1, freeBlocks, ...entry };
    });
    this.#write('groups 0', (target) => encodeGroupListPage(entries, target));
    const groupList = {
      pointer: this.#writeIndex('groups', PageType.groupListTable, [['0', 'groups 0:0']]),
      count: entries.length,
    };
    const slots = 2 * entries.length;
    const root: CellRoot = {
      cell: this.#cell,
      poolUuid,
      rootGeneration: generation,
      openGeneration: 1,
      ...counted,
      groupList,
      journalStart: { slot: 1, sequence: 1, prevCrc: 0 },
      nextFamilyId: 2,
      nextQueueItemId: 10,
      allocatedBlocks: bitmaps.reduce((sum, bitmap) => sum + countBits(bitmap), 0),
      metadataBlocks: slots + this.#pages.size + this.#freedPages(),
      reservedBlocks: imageGeometry.reserveBlocks,
      slackBlocks: 0,
      ...this.#spec.root,
    };
    for (let copy = 0; copy < rootCopies; copy++) {
      const page = new Uint8Array(blockSizeBytes);
      encodeCellRoot(root, copy, page);
      this.#image.writeDurable(cellRootBlock(this.#cell, root.rootGeneration, copy), page);
    }
  }

  /** Pages that wait in the free queue have no content here, and count as metadata all the same. */
  #freedPages(): number {
    const freed = this.#spec.queue
      .filter(({ isMeta }) => isMeta)
      .flatMap(({ entries, done }) => entries.slice(done))
      .filter((name) => !name.startsWith('null:'));
    return freed.length;
  }

  #bitmapOf(group: number): Uint8Array {
    const bitmap = new Uint8Array(blockSizeBytes);
    const set = (bit: number) => (bitmap[bit >> 3]! |= 1 << (bit & 7));
    set(0);
    set(1);
    const freed = new Set(this.#spec.freed);
    for (const [name, pbn] of this.#pbns) {
      const bit = pbn - group * imageGeometry.groupBlocks;
      const isHere = bit >= 0 && bit < imageGeometry.groupBlocks && !name.startsWith('#');
      if (isHere && !freed.has(name)) set(bit);
    }
    return bitmap;
  }

  #writeJournal(): void {
    const seed = journalSeed(poolUuid, this.#cell);
    let prevCrc = 0;
    for (const [index, records] of this.#spec.journal.entries()) {
      const page = new Uint8Array(blockSizeBytes);
      const slots = Buffer.concat(records.map((record) => encodeJournalRecord(record)));
      journalSlots(page).set(slots);
      const sequence = 1 + index;
      const header = {
        cell: this.#cell,
        slotCount: slots.length / 16,
        sequence,
        durableSequence: index,
      };
      prevCrc = sealJournalBlock(
        { ...header, prevCrc, openGeneration: 1, rootGeneration: generation },
        page,
        seed,
      );
      this.#image.writeDurable(journalBlockOf(imageGeometry, this.#cell, sequence), page);
    }
  }
}

function writeSuperblocks(image: SimImage, geometry: PoolGeometry): void {
  for (const [copyNumber, block] of superblockBlocks(sizeBlocks).entries()) {
    const page = new Uint8Array(blockSizeBytes);
    const pool = { poolUuid, poolName: 'pool', generation: 1, deviceIndex: 0, isReadOnly: false };
    const createdMs = 1_700_000_000_000;
    encodeSuperblock({ ...pool, geometry, createdMs, devices }, copyNumber, page);
    image.writeDurable(block, page);
  }
}

function countBits(bitmap: Uint8Array): number {
  let count = 0;
  for (const byte of bitmap) for (let bits = byte; bits > 0; bits >>= 1) count += bits & 1;
  return count;
}
