/** Keeps docs/on-disk-format.md, the tables at the head of the codecs and what the codecs write from drifting apart. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { describe, expect, test } from '@jest/globals';

import * as units from '../units.ts';
import * as catalogRecord from './catalog-record.ts';
import * as cellRoot from './cell-root.ts';
import * as deadList from './dead-list.ts';
import * as groupList from './group-list.ts';
import * as journalBlock from './journal-block.ts';
import * as journalRecord from './journal-record.ts';
import * as mapLeaf from './map-leaf.ts';
import { encodePointer, nullPointer } from './metadata-pointer.ts';
import { encodePageHeader, pageHeaderBytes, PageType } from './page-header.ts';
import * as poolLayout from './pool-layout.ts';
import * as streamPage from './stream-page.ts';
import * as superblock from './superblock.ts';
import * as tablePage from './table-page.ts';

const root = resolve(import.meta.dirname, '../../..');
const sourceFolder = join(root, 'storage-daemon/src/format');
const document = readFileSync(join(root, 'docs/on-disk-format.md'), 'utf8');
const fencedBlocks = [...document.matchAll(/^```\n([\s\S]*?)\n```$/gm)].map((match) => match[1]!);

const sizes: Readonly<Record<string, number>> = {
  'catalog-record': 256,
  'cell-root': 4096,
  'group-list': 16,
  'journal-block': 4096,
  'journal-record': 16,
  'map-leaf': 4096,
  'metadata-pointer': 12,
  'page-header': 24,
  'stream-page': 4096,
  superblock: 4096,
  'table-page': 4096,
};

interface Row {
  readonly offset: number;
  readonly size: number;
  readonly name: string;
}

/** Indented parts of the comment at a codec's head: its tables and grammars. */
function headTables(file: string): string[] {
  const source = readFileSync(join(sourceFolder, file), 'utf8');
  const lines = source.slice(0, source.indexOf('*/')).split('\n');
  const tables: string[][] = [[]];
  for (const line of lines) {
    if (/^ \* {3}/.test(line)) tables.at(-1)!.push(line.slice(3));
    else if (tables.at(-1)!.length > 0) tables.push([]);
  }
  return tables.filter((table) => table.length > 0).map((table) => table.join('\n'));
}

function rowsOf(structure: string): Row[] {
  const [table] = headTables(`${structure}.ts`);
  expect(table).toMatch(/OFFSET +SIZE +FIELD/);
  return table!.split('\n').flatMap((line) => {
    const [, offset, size, name] = /^\s*(\d+)\s+(\d+)\s+(\S+)/.exec(line) ?? [];
    return name === undefined ? [] : [{ offset: Number(offset), size: Number(size), name }];
  });
}

const codecs = readdirSync(sourceFolder).filter((file) => /^[a-z-]+\.ts$/.test(file));

describe('docs/on-disk-format.md', () => {
  const tables = codecs.flatMap((file) => headTables(file).map((table) => ({ file, table })));

  test('has the tables of all codecs, and no others', () => {
    expect(fencedBlocks.toSorted()).toEqual(tables.map(({ table }) => table).toSorted());
  });

  test('names the values of all limits', () => {
    const limits = [...document.matchAll(/^\| `(\w+)` \| (\d+) \|$/gm)].map(([, name, value]) => [
      name,
      Number(value),
    ]);
    const constants: Readonly<Record<string, unknown>> = {
      ...units,
      ...catalogRecord,
      ...deadList,
      ...groupList,
      ...journalBlock,
      ...journalRecord,
      ...mapLeaf,
      ...poolLayout,
      ...streamPage,
      ...superblock,
      ...tablePage,
    };
    expect(limits.length).toBeGreaterThan(20);
    expect(limits).toEqual(limits.map(([name]) => [name, constants[String(name)]]));
  });

  test('names the types of all pages', () => {
    const types = [...document.matchAll(/^\| (\d) \| (?:map|catalog|group|stream|cell) /gm)].map(
      ([, type]) => Number(type),
    );
    expect(types).toEqual(Object.values(PageType));
  });
});

describe('the tables of fields', () => {
  test.each(Object.entries(sizes))(
    'of %s neither overlap nor leave gaps in its %i bytes',
    (structure, sizeBytes) => {
      const rows = rowsOf(structure);
      const ends = rows.map(({ offset, size }) => offset + size);
      expect(rows.map(({ offset }) => offset)).toEqual([0, ...ends.slice(0, -1)]);
      expect(ends.at(-1)).toBe(sizeBytes);
    },
  );
});

/** How to write a structure, and for each field a value that changes it and nothing else. */
interface Probe {
  readonly structure: string;
  readonly encode: (change: object) => Uint8Array;
  readonly changes: Readonly<Record<string, object>>;
  /** Fields that change with every other: the checksum. */
  readonly follows?: string;
}

function page(encode: (target: Uint8Array) => void, sizeBytes = 4096): Uint8Array {
  const target = new Uint8Array(sizeBytes);
  encode(target);
  return target;
}

const pointer = { pbn: 0xa1b2c3d4, crc: 0xa1b2c3d4, birth: 0xa1b2c3d4 };
const uuid = new Uint8Array(16).fill(1);
const otherUuid = new Uint8Array(16).fill(2);
const all = 0xa1b2c3d4;
const device = { uuid, sizeBlocks: 100, firstGroup: 0, groupCount: 0, groupStartBlock: 0 };
const geometry = {
  groupBlocks: 0,
  ringBlocks: 0,
  cellCount: 0,
  tableFanOut: 0,
  leafClusters: 0,
  reserveBlocks: 0,
};
const position = { type: PageType.mapLeaf, level: 0, cell: 0, family: 0, index: 0 };
const counted = { pointer, count: all };
const noPointers = { pointer: nullPointer, count: 0 };

const probes: readonly Probe[] = [
  {
    structure: 'superblock',
    follows: 'crc32c',
    encode: (change) => {
      const base = {
        poolUuid: uuid,
        poolName: '',
        generation: 0,
        deviceIndex: 0,
        geometry,
        createdMs: 0,
        devices: [device, device],
        isReadOnly: false,
      };
      const { copyNumber = 0, ...rest } = change as { copyNumber?: number };
      return page((target) =>
        superblock.encodeSuperblock({ ...base, ...rest }, copyNumber, target),
      );
    },
    changes: {
      poolUuid: { poolUuid: otherUuid },
      generation: { generation: 2 ** 53 - 1 },
      copyNumber: { copyNumber: 2 },
      deviceIndex: { deviceIndex: 1 },
      groupBlocks: { geometry: { ...geometry, groupBlocks: all } },
      ringBlocks: { geometry: { ...geometry, ringBlocks: all } },
      cellCount: { geometry: { ...geometry, cellCount: all } },
      tableFanOut: { geometry: { ...geometry, tableFanOut: all } },
      leafClusters: { geometry: { ...geometry, leafClusters: all } },
      reserveBlocks: { geometry: { ...geometry, reserveBlocks: all } },
      createdMs: { createdMs: 1.1 },
      deviceTable: {
        devices: [
          { ...device, uuid: otherUuid, sizeBlocks: 2 ** 53 - 1, groupStartBlock: 2 ** 50 },
          device,
        ],
      },
    },
  },
  {
    structure: 'cell-root',
    follows: 'crc32c',
    encode: (change) => {
      const journalStart = { slot: 0, sequence: 0, prevCrc: 0 };
      const counters = {
        openGeneration: 0,
        nextFamilyId: 0,
        nextQueueItemId: 0,
        allocatedBlocks: 0,
        metadataBlocks: 0,
        reservedBlocks: 0,
        slackBlocks: 0,
      };
      const pointers = { catalog: noPointers, groupList: noPointers, freeQueue: noPointers };
      const base = {
        cell: 0,
        poolUuid: uuid,
        rootGeneration: 0,
        journalStart,
        ...counters,
        ...pointers,
      };
      return page((target) => cellRoot.encodeCellRoot({ ...base, ...change }, 0, target));
    },
    changes: {
      poolUuid: { poolUuid: otherUuid },
      openGeneration: { openGeneration: all },
      journalSlot: { journalStart: { slot: all, sequence: 0, prevCrc: 0 } },
      journalSequence: { journalStart: { slot: 0, sequence: 2 ** 53 - 1, prevCrc: 0 } },
      journalPrevCrc: { journalStart: { slot: 0, sequence: 0, prevCrc: all } },
      nextFamilyId: { nextFamilyId: all },
      nextQueueItemId: { nextQueueItemId: all },
      catalog: { catalog: counted },
      groupList: { groupList: counted },
      freeQueue: { freeQueue: counted },
      allocatedBlocks: { allocatedBlocks: all },
      metadataBlocks: { metadataBlocks: all },
      reservedBlocks: { reservedBlocks: all },
      slackBlocks: { slackBlocks: all },
    },
  },
  {
    structure: 'page-header',
    encode: (change) => {
      const { generation = 0, ...rest } = change as { generation?: number };
      return page(
        (target) => encodePageHeader(target, { ...position, ...rest }, generation),
        pageHeaderBytes,
      );
    },
    changes: {
      type: { type: PageType.stream },
      level: { level: 255 },
      cell: { cell: 0xffff },
      family: { family: all },
      index: { index: all },
      generation: { generation: 2 ** 53 - 1 },
    },
  },
  {
    structure: 'metadata-pointer',
    encode: (change) => {
      const base = { pbn: 1, crc: 0, birth: 0 };
      return page(
        (target) => encodePointer(new DataView(target.buffer), 0, { ...base, ...change }),
        12,
      );
    },
    changes: { pbn: { pbn: all }, crc: { crc: all }, birth: { birth: all } },
  },
  {
    structure: 'catalog-record',
    follows: 'crc32c',
    encode: (change) => {
      const counters = {
        referencedBlocks: 0,
        ownBlocks: 0,
        deadBlocks: 0,
        slackBlocks: 0,
        walkCursor: 0,
        walkBound: 0,
      };
      const pointers = {
        root: nullPointer,
        deadData: nullPointer,
        deadMeta: nullPointer,
        attributes: nullPointer,
      };
      const base = {
        id: 0,
        kind: 'volume',
        isDeleted: true,
        isWalking: true,
        level: 0,
        family: 0,
        parent: undefined,
        childCount: 0,
        epoch: 0,
        curEpoch: 0,
        sizeBlocks: 0,
        createdMs: 0,
        uuid,
        name: '',
        ...counters,
        ...pointers,
      } as const;
      return page(
        (target) => catalogRecord.encodeCatalogRecord({ ...base, ...change }, target),
        256,
      );
    },
    changes: {
      id: { id: all },
      kind: { kind: 'snapshot' },
      level: { level: 28 },
      family: { family: all },
      childCount: { childCount: all },
      epoch: { epoch: 0xabcdef1 },
      curEpoch: { curEpoch: 0xabcdef1 },
      sizeBlocks: { sizeBlocks: all },
      root: { root: pointer },
      deadData: { deadData: pointer },
      deadMeta: { deadMeta: pointer },
      attributes: { attributes: pointer },
      referenced: { referencedBlocks: all },
      own: { ownBlocks: all },
      deadBlocks: { deadBlocks: all },
      slack: { slackBlocks: all },
      walkCursor: { walkCursor: all },
      walkBound: { walkBound: all },
      createdMs: { createdMs: 1.1 },
      uuid: { uuid: otherUuid },
    },
  },
  {
    structure: 'group-list',
    encode: (change) => {
      const base = { group: 0, freeBlocks: 0, bitmapCrc: 0, slotGeneration: 0 };
      return page((target) => groupList.encodeGroupListPage([{ ...base, ...change }], target));
    },
    changes: {
      group: { group: all },
      freeBlocks: { freeBlocks: 0x7ffe },
      bitmapCrc: { bitmapCrc: all },
      slotGeneration: { slotGeneration: all },
    },
  },
  {
    structure: 'journal-block',
    follows: 'crc32c',
    encode: (change) => {
      const base = {
        cell: 0,
        slotCount: 252,
        sequence: 1,
        durableSequence: 0,
        prevCrc: 0,
        openGeneration: 0,
        rootGeneration: 0,
      };
      const { slots = 0, ...rest } = change as { slots?: number };
      return page((target) => {
        journalBlock.journalSlots(target).fill(slots);
        journalBlock.sealJournalBlock({ ...base, ...rest }, target, 0);
      });
    },
    changes: {
      cell: { cell: 0xffff },
      slotCount: { slotCount: 251 },
      sequence: { sequence: 2 ** 53 - 1 },
      prevCrc: { prevCrc: all },
      openGeneration: { openGeneration: all },
      rootGeneration: { rootGeneration: 2 ** 53 - 1 },
      slots: { slots: 1 },
    },
  },
  {
    structure: 'stream-page',
    encode: (change) => {
      const { payload, ...rest } = { payload: new Uint8Array(9).fill(1), ...change };
      const place = { cell: 0, family: 0, level: 0, index: 0, generation: 0, ...rest };
      return page((target) => streamPage.encodeStreamPage(payload, place, target));
    },
    changes: { page: { family: all }, payload: { payload: new Uint8Array(9).fill(2) } },
  },
  {
    structure: 'table-page',
    encode: (change) => {
      const pointers = { ...tablePage.emptyTable(), ...change };
      return page((target) =>
        tablePage.encodeTablePage(pointers, { position, generation: 0 }, target),
      );
    },
    changes: {
      pbn: { pbn: new Uint32Array(256).fill(all) },
      crc: { crc: new Uint32Array(256).fill(all) },
      birth: { birth: new Uint32Array(256).fill(all) },
    },
  },
];

/** Fields whose value never varies by itself, or that vary together with another and have golden bytes instead. */
const withoutProbe = new Set([
  'reserved',
  'magic',
  'version',
  'compatible',
  'read-only-compatible',
  'incompatible',
  'page',
  'crc32c',
  'nameLength',
  'name',
  'deviceCount',
  'flags',
  'parent',
  'rootGeneration',
  'durableSequence',
  'byteCount',
]);

describe('codecs write each field where its table says:', () => {
  for (const { structure, encode, changes, follows } of probes) {
    const rows = rowsOf(structure);

    test.each(Object.entries(changes))(`${structure}, %s`, (field, change) => {
      const before = encode({});
      const after = encode(change);
      const changed = new Set<string>();
      for (let index = 0; index < after.length; index++) {
        if (before[index] === after[index]) continue;
        changed.add(rows.findLast(({ offset }) => offset <= index)!.name);
      }
      if (follows !== undefined && field !== 'copyNumber') changed.delete(follows);
      expect([...changed]).toEqual([field]);
    });

    test(`${structure}: no field is forgotten`, () => {
      const names = rows.map(({ name }) => name);
      const missing = names.filter(
        (name) => !withoutProbe.has(name) && changes[name] === undefined,
      );
      expect(missing).toEqual([]);
    });
  }
});
