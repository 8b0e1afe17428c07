import { describe, expect, test } from '@jest/globals';

import { DeviceError } from '../device/block-device.ts';
import { decodeCellRoot, encodeCellRoot } from '../format/cell-root.ts';
import { decodeSuperblock, encodeSuperblock } from '../format/superblock.ts';
import { formatStore } from '../store/format-store.ts';
import { buildImage } from '../testing/image/image-builder.ts';
import type { ImageSpec, NodeSpec } from '../testing/image/image-spec.ts';
import { MemoryDevice } from '../testing/image/memory-device.ts';
import { samplePool, sampleNode } from '../testing/image/sample-pool.ts';
import { fixedEnvironment, storedPoolGeometry } from '../testing/image/stored-pool.ts';
import { SimImage } from '../testing/sim-image.ts';
import { checkPool } from './check-pool.ts';

type Image = ReturnType<typeof buildImage>;

async function findingsOf(
  change: (spec: ImageSpec) => void,
  damage: (image: Image) => void = () => {},
): Promise<readonly string[]> {
  const spec = samplePool();
  change(spec);
  const built = buildImage([spec]);
  damage(built);
  return checkPool([new MemoryDevice('disk', built.image)]);
}

function nodeOf(spec: ImageSpec, id: number): NodeSpec {
  return spec.nodes.find((node) => node.id === id)!;
}

/** Each breaks one thing; the finding must name it. */
const breaks: readonly [string, (spec: ImageSpec) => void, RegExp][] = [
  // Maps.
  [
    'a block at two places of a volume',
    (spec) => (spec.leaves['leaf0-a']!.entries[4] = 'b3:3'),
    /block \d+ is used twice: as data and by cell 0: volume "a" \(node 0\), block 4/,
  ],
  [
    'a shared block that moved',
    (spec) => {
      delete spec.leaves['leaf0-a']!.entries[3];
      spec.leaves['leaf0-a']!.entries[4] = 'd:1';
    },
    /volume "a" \(node 0\) against its parent: 1 blocks that moved to another place/,
  ],
  [
    'a block of two siblings',
    (spec) => (spec.leaves['leaf0-k']!.entries[4] = 'a2:2'),
    /is used twice: as data and by cell 0: (snapshot "s2"|volume "k")/,
  ],
  [
    'a block that is data and metadata',
    (spec) => (spec.leaves['leaf0-a']!.entries[4] = 'catalog root:3'),
    /is used twice: as a page and by cell 0: volume "a" \(node 0\), block 4/,
  ],
  [
    'a block that is data and a bitmap slot',
    (spec) => (spec.leaves['leaf0-a']!.entries[4] = '#512:3'),
    /block 512 is used twice: as a bitmap slot and by/,
  ],
  [
    'a block in a group of nobody',
    (spec) => (spec.leaves['leaf0-a']!.entries[4] = '#300:3'),
    /block 300, .*block 4, is in group 1, which the cell does not own/,
  ],
  [
    'a block with another birth in a snapshot',
    (spec) => (spec.leaves['leaf0-s2']!.entries[3] = 'd:2'),
    /block 3 was born in epoch \d to the parent and in \d to the child|born up to the parent/,
  ],
  [
    'a block that is younger than its page',
    (spec) => (spec.leaves['leaf0-a']!.entries[1] = 'b3:4'),
    /volume "a" \(node 0\), block 1 was born in epoch 4, the page above it in 3/,
  ],
  [
    'a page that is younger than its table',
    (spec) => (spec.tables['root-k']!.children[0] = 'leaf0-k:5'),
    /page 0 of level 1, child 0 was born in epoch 5, the page above it in 4/,
  ],
  [
    'an extension that is younger than its leaf',
    (spec) => (spec.leaves['leaf0-a']!.extensions = ['ext-a:4']),
    /extension 0 was born in epoch 4, the page above it in 3/,
  ],
  [
    'a map that is younger than its volume',
    (spec) => (nodeOf(spec, sampleNode.k).map = 'root-k:5'),
    /volume "k" \(node 3\) is of epoch 4, its map was born in 5/,
  ],
  [
    'a block without a birth above the parent that the parent lacks',
    (spec) => (spec.leaves['leaf0-a']!.entries[1] = 'b3:2'),
    /1 blocks that the parent lacks, born up to the parent's epoch 2/,
  ],
  [
    'a block behind the end of its volume',
    (spec) => (spec.nodes[0]!.sizeBlocks = 100),
    /volume "a" \(node 0\): block 128 is mapped, it has 100 blocks/,
  ],
  [
    'a map that is too low',
    (spec) => (spec.nodes[0]!.sizeBlocks = 1025),
    /has a map of height 1, 1025 blocks need 2/,
  ],
  [
    'a page of another place',
    (spec) => (spec.tables['root-a']!.children[2] = 'leaf1:1'),
    /page 2 of level 0: found page .* in place of|against its parent: found page/,
  ],
  [
    'a table with more pointers than the fan-out',
    (spec) => (spec.tables['root-a']!.children[4] = 'leaf1:3'),
    /a table has more than 4 pointers/,
  ],
  [
    'a leaf with more clusters than the geometry',
    (spec) => (spec.leaves['leaf1-w']!.entries[256] = 'w2:5'),
    /a leaf has more than 16 clusters/,
  ],
  [
    'an extension with a record that nothing uses',
    (spec) =>
      patch(spec, 'ext-a', 2 * 128, [1, 0, 0, 0]).push(...patch(spec, 'ext-a', 2 * 128 + 64, [3])),
    /split record 9 is there without use/,
  ],
  [
    'an extension without a record that is used',
    (spec) => patch(spec, 'ext-a', 128, Array<number>(128).fill(0)),
    /split record 8 is used and empty/,
  ],

  [
    'a page without a birth',
    (spec) => (spec.tables['root-a']!.children[1] = 'leaf1:0'),
    /page 0 of level 1, child 1 has no birth/,
  ],
  [
    'a shared page with another birth',
    (spec) => (spec.tables['root-a']!.children[1] = 'leaf1:2'),
    /both point to page \d+ with other births or checksums/,
  ],
  [
    'a catalog record that is broken under a right checksum',
    (spec) => patch(spec, 'catalog 0', 2 * 256 + 40, [1]),
    /catalog, node 2: the checksum of a catalog record is wrong/,
  ],
  [
    'a table of the catalog with a birth',
    (spec) => patch(spec, 'catalog table', 2176, [1]),
    /catalog, table 0 of level 1: a page of the cell has a birth/,
  ],
  [
    'a table of the catalog with more pages than the root counts',
    (spec) => patch(spec, 'catalog table', 128 + 4, [1]),
    /catalog, table 0 of level 1: it has more than 1 pointers/,
  ],
  [
    'a group list with bytes behind its entries',
    (spec) => patch(spec, 'groups 0', 100, [1]),
    /group list, page 0: reserved bytes 32\.\.4095 are not zero/,
  ],

  // Dead lists.
  [
    'a dropped block that the dead list lacks',
    (spec) => (nodeOf(spec, sampleNode.a).deadData![0]!.entries = ['b:1']),
    /volume "a" \(node 0\) against its parent: 1 blocks that it dropped and its dead list lacks/,
  ],
  [
    'a dead block that was not dropped',
    (spec) => nodeOf(spec, sampleNode.a).deadData![0]!.entries.push('d:1'),
    /1 blocks in its dead list that it did not drop/,
  ],
  [
    'a dead block with another birth',
    (spec) => (nodeOf(spec, sampleNode.k).deadData![0]!.entries = ['c:2']),
    /1 blocks in its dead list with another birth|births from 2 to 2/,
  ],
  [
    'a dead list of a first child that names what the child still has',
    (spec) => nodeOf(spec, sampleNode.s2).deadData![0]!.entries.push('d:1'),
    /is used twice: as data and by cell 0: deleted snapshot \(node 1\), through a child's dead list/,
  ],
  [
    'a dropped page that the dead list lacks',
    (spec) => (nodeOf(spec, sampleNode.k).deadMeta![0]!.entries = ['root:1']),
    /volume "k" \(node 3\) against its parent: 1 pages that it dropped and its dead list lacks/,
  ],
  [
    'a dead page that was not dropped',
    (spec) => nodeOf(spec, sampleNode.k).deadMeta![0]!.entries.push('leaf1:1'),
    /1 pages in its dead list that it did not drop/,
  ],
  [
    'a dead block that is not above its bucket',
    (spec) => (nodeOf(spec, sampleNode.k).deadData = [{ birthLow: 1, entries: ['c:1'] }]),
    /bucket above 1 has births from 1 to 1/,
  ],
  [
    'a bucket on both sides of an ancestor',
    (spec) =>
      (nodeOf(spec, sampleNode.a).deadMeta = [
        { birthLow: 0, entries: ['ext:1', 'leaf0-s2:2', 'root-s2:2'] },
      ]),
    /bucket above 0 has births on both sides of epoch 1, an ancestor's/,
  ],
  [
    'a bucket that counts wrong',
    (spec) => (nodeOf(spec, sampleNode.k).deadData![0]!.blockCount = 2),
    /bucket above 0 counts 2 blocks and has 1/,
  ],
  [
    'a dead page without a block',
    (spec) => nodeOf(spec, sampleNode.k).deadMeta![0]!.entries.push('null:1'),
    /dead pages has an entry without a block/,
  ],
  [
    'a node that counts its dead blocks wrong',
    (spec) => (spec.nodes[0]!.deadBlocks = 3),
    /counts 3 dead blocks and has 2/,
  ],
  [
    'a dead list of a node without parent',
    (spec) => (nodeOf(spec, sampleNode.s1).deadData = [{ birthLow: 0, entries: ['a:1'] }]),
    /deleted snapshot \(node 1\) has a dead list and no parent/,
  ],

  // The tree of nodes.
  [
    'a child that nobody counts',
    (spec) => (nodeOf(spec, sampleNode.s2).childCount = 0),
    /snapshot "s2" \(node 2\) counts 0 children and has 1/,
  ],
  [
    'a parent that does not exist',
    (spec) => (nodeOf(spec, sampleNode.k).parent = 9),
    /volume "k" \(node 3\) has the parent 9, which does not exist/,
  ],
  [
    'a parent that is a volume',
    (spec) => (nodeOf(spec, sampleNode.k).parent = sampleNode.a),
    /volume "k" \(node 3\) has a parent that is no snapshot: volume "a"/,
  ],
  [
    'a parent of another family',
    (spec) => (nodeOf(spec, sampleNode.k).family = 2),
    /volume "k" \(node 3\) is of family 2, its parent of 1/,
  ],
  [
    'a family of the future',
    (spec) => (spec.root.nextFamilyId = 1),
    /is of family 1, the next one is to be 1/,
  ],
  [
    'a cycle',
    (spec) => (nodeOf(spec, sampleNode.s1).parent = sampleNode.s2),
    /deleted snapshot \(node 1\) is its own ancestor/,
  ],
  [
    'an epoch that does not rise',
    (spec) => (spec.nodes[0]!.curEpoch = 2),
    /volume "a" \(node 0\) is of epoch 2, its parent of 2/,
  ],
  [
    'two nodes of one epoch',
    (spec) => (nodeOf(spec, sampleNode.k).curEpoch = 3),
    /volume "k" \(node 3\) is of epoch 3, as is volume "a" \(node 0\)/,
  ],
  [
    'a deleted snapshot with one child',
    (spec) => (nodeOf(spec, sampleNode.s2).isDeleted = true),
    /deleted snapshot "s2" \(node 2\) waits with 1 children/,
  ],
  [
    'a deleted snapshot with a map',
    (spec) => (nodeOf(spec, sampleNode.s1).map = 'root:1'),
    /deleted snapshot \(node 1\) still has a map/,
  ],
  [
    'a deleted volume that is not walked',
    (spec) => (nodeOf(spec, sampleNode.k).isDeleted = true),
    /deleted volume "k" \(node 3\) is not walked/,
  ],
  [
    'a walk behind the end',
    (spec) => (nodeOf(spec, sampleNode.w).walkCursor = 1024),
    /is walked up to block 1024 of 1024/,
  ],
  [
    'a cursor of a node that is not walked',
    (spec) => (nodeOf(spec, sampleNode.k).walkCursor = 5),
    /is not walked and has a cursor or bound/,
  ],
  [
    'a walked node with a dead list',
    (spec) => (nodeOf(spec, sampleNode.w).deadData = [{ birthLow: 0, entries: ['a:1'] }]),
    /dying volume \(node 4\) is walked and has a dead list/,
  ],
  [
    'two volumes of one name',
    (spec) => (nodeOf(spec, sampleNode.k).name = 'a'),
    /volume "a" is in cell 0 and in cell 0/,
  ],
  [
    'attributes that are no JSON',
    (spec) => (nodeOf(spec, sampleNode.k).attributes = '{"a":'),
    /volume "k" \(node 3\), attributes are not a JSON object: {"a":/,
  ],
  [
    'attributes that are no object',
    (spec) => (nodeOf(spec, sampleNode.k).attributes = '[1]'),
    /attributes are not a JSON object: \[1\]/,
  ],
  [
    'attributes above their limit',
    (spec) => (nodeOf(spec, sampleNode.k).attributes = `{"a":"${'x'.repeat(3070)}"}`),
    /attributes have 3078 bytes/,
  ],
  [
    'slack that it does not have',
    (spec) => (nodeOf(spec, sampleNode.k).slackBlocks = 1),
    /counts 1 blocks of slack and has 0/,
  ],
  [
    'slack of a natural cluster that is not counted',
    (spec) => naturalCluster(spec, 'leaf0-k', { base: 12, mask: 1, birth: 4 }),
    /volume "k" \(node 3\) counts 0 blocks of slack and has 15/,
  ],
  [
    'a natural cluster that counts as free, slack included',
    (spec) => naturalCluster(spec, 'leaf0-k', { base: 12, mask: 1, birth: 4 }),
    /block 207 is data and counts as free/,
  ],
  [
    'a natural cluster without a valid block',
    (spec) => naturalCluster(spec, 'leaf0-k', { base: 12, mask: 0, birth: 4 }),
    /cluster 14 has no valid block/,
  ],
  [
    'a natural cluster in a group of nobody',
    (spec) => naturalCluster(spec, 'leaf0-k', { base: 16, mask: 0xffff, birth: 4 }),
    /block 256, .*, is in group 1, which the cell does not own/,
  ],
  [
    'a natural cluster that was born after its page',
    (spec) => naturalCluster(spec, 'leaf0-k', { base: 12, mask: 0xffff, birth: 5 }),
    /was born in epoch 5, the page above it in 4/,
  ],

  // Counters.
  [
    'a volume that counts its own blocks wrong',
    (spec) => (spec.nodes[0]!.ownBlocks = 1),
    /volume "a" \(node 0\) counts 1 blocks as its own and has 2/,
  ],
  [
    'a volume that counts its references wrong',
    (spec) => (spec.nodes[0]!.referencedBlocks = 12),
    /volume "a" \(node 0\) counts 12 referenced blocks and has 13/,
  ],
  [
    'a deleted snapshot that counts wrong',
    (spec) => (nodeOf(spec, sampleNode.s1).ownBlocks = 12),
    /deleted snapshot \(node 1\) counts 12 blocks as its own and has 13/,
  ],
  [
    'a walked node that counts what is left wrong',
    (spec) => (nodeOf(spec, sampleNode.w).ownBlocks = 2),
    /dying volume \(node 4\) counts 2 blocks as its own and has 1/,
  ],
  [
    'wrong allocated blocks',
    (spec) => (spec.root.allocatedBlocks = 5),
    /the root counts 5 allocated blocks/,
  ],
  [
    'wrong metadata blocks',
    (spec) => (spec.root.metadataBlocks = 5),
    /the root counts 5 blocks of metadata/,
  ],
  ['slack in the root', (spec) => (spec.root.slackBlocks = 5), /the root counts 5 blocks of slack/],

  // Space.
  [
    'a leak',
    (spec) => spec.leaked.push('lost'),
    /nothing uses block \d+, and it counts as allocated/,
  ],
  [
    'two leaks side by side',
    (spec) => spec.leaked.push('lost', 'lost2'),
    /nothing uses blocks \d+ to \d+, and it counts/,
  ],
  [
    'data that counts as free',
    (spec) => spec.freed.push('d'),
    /block \d+ is data and counts as free/,
  ],
  [
    'a page that counts as free',
    (spec) => spec.freed.push('leaf1'),
    /is a page and counts as free/,
  ],
  [
    'an extension that counts as free',
    (spec) => spec.freed.push('ext-a'),
    /is a page and counts as free/,
  ],
  [
    'a block to be freed that counts as free',
    (spec) => spec.freed.push('f2'),
    /is data to be freed and counts as free/,
  ],
  [
    'a group in two entries',
    (spec) => spec.groups.push({ group: 0 }),
    /is used twice: as a bitmap slot and by cell 0, bitmap 0 of group 0/,
  ],
  ['a group outside of the pool', (spec) => spec.groups.push({ group: 3 }), /group 3 is outside/],
  [
    'a group with wrong free blocks',
    (spec) => (spec.groups[1]!.freeBlocks = 100),
    /bitmap of group 2: 100 blocks are said to be free, 254 are/,
  ],
  [
    'a bitmap of another checksum',
    (spec) => (spec.groups[1]!.bitmapCrc = 1),
    /bitmap of group 2: block 513 has the checksum .*, its pointer says 00000001/,
  ],
  [
    'a bitmap in the other slot',
    (spec) => (spec.groups[1]!.slotGeneration = 2),
    /bitmap of group 2: block 512 has the checksum/,
  ],

  // The free queue.
  [
    'a block to be freed that is referenced',
    (spec) => spec.queue[0]!.entries.push('d:1'),
    /is used twice: as data and by cell 0, free queue, item 7, entry 2/,
  ],
  [
    'a block to be freed twice',
    (spec) => spec.queue[0]!.entries.push('f2:1'),
    /is used twice: as data to be freed and by cell 0, free queue, item 7, entry 2/,
  ],
  [
    'a page to be freed that is in use',
    (spec) => spec.queue[1]!.entries.push('leaf1:1'),
    /is used twice: as a page and by cell 0, free queue, item 8, entry 2/,
  ],
  ['an item that is done', (spec) => (spec.queue[0]!.done = 2), /item 7 has 2 entries, 2 are done/],
  [
    'an item of the future',
    (spec) => (spec.root.nextQueueItemId = 8),
    /item 8 exists, the next one is to be 8/,
  ],
  [
    'an item that counts wrong',
    (spec) => (spec.queue[0]!.blockCount = 3),
    /item 7 counts 3 blocks and has 2/,
  ],

  // The journal.
  [
    'records behind the last checkpoint',
    (spec) => spec.journal.push([{ op: 'delete', node: 3 }]),
    /cell 0: 1 journal blocks follow the last checkpoint/,
  ],
  [
    'a journal that starts outside of its ring',
    (spec) => (spec.root.journalStart = { slot: 8, sequence: 1, prevCrc: 0 }),
    /journal: it starts at slot 8 of 8/,
  ],
  [
    'a journal block that knows a newer root',
    (spec) => {
      spec.journal.push([], []);
      spec.root.rootGeneration = 2;
    },
    /journal block 1 knows root 3, the newest that can be read is 2/,
  ],
  [
    'a journal hole',
    (spec) => {
      spec.journal.push([], [], []);
      spec.root.journalStart = { slot: 1, sequence: 1, prevCrc: 99 };
    },
    /journal hole: block 1 cannot be read, block 2 says that 1 was durable/,
  ],
];

/** Changes bytes of a page before its checksum is taken. */
function patch(
  spec: ImageSpec,
  page: string,
  offsetBytes: number,
  bytes: number[],
): ImageSpec['patches'] {
  spec.patches.push({ page, offsetBytes, bytes, isUnnoticed: true });
  return spec.patches;
}

/** Puts a natural entry into a hole of a leaf, cluster 14, before the leaf's checksum is taken. */
function naturalCluster(
  spec: ImageSpec,
  page: string,
  { base, mask, birth }: { base: number; mask: number; birth: number },
): void {
  const entry = new Uint8Array(8);
  const view = new DataView(entry.buffer);
  view.setUint32(0, base * 16 + 1, true);
  view.setUint32(4, mask, true);
  patch(spec, page, 128 + 8 * 14, [...entry]);
  patch(spec, page, 2176 + 4 * 14, [birth, 0, 0, 0]);
}

describe('checkPool()', () => {
  test('finds nothing wrong with a pool that has one of everything', async () => {
    expect(await findingsOf(() => {})).toEqual([]);
  });

  test('does not mind fences and empty blocks in the journal', async () => {
    expect(await findingsOf((spec) => spec.journal.push([], []))).toEqual([]);
  });

  test.each(breaks)('reports %s', async (_, change, finding) => {
    expect((await findingsOf(change)).join('\n')).toMatch(finding);
  });
});

/** Pages that a check reads. Of those that only a deleted snapshot references, nobody reads the content. */
const pagesRead = [
  'leaf1',
  'leaf0-s2',
  'leaf0-a',
  'leaf0-k',
  'leaf1-w',
  'ext',
  'ext-a',
  'root-s2',
  'root-a',
  'root-k',
  'root-w',
  'queue',
  'item 8',
  'catalog 0',
  'catalog table',
  'catalog root',
  'groups 0',
  'groups table',
  'groups root',
  'node 0 attributes',
  'node 0 dead data',
  'node 0 dead data above 0',
  'node 0 dead pages',
];

/** Changes one byte of a block of the device. */
function rot({ image }: Pick<Image, 'image'>, block: number, offsetBytes = 2000): void {
  const page = new Uint8Array(image.read(block) ?? new Uint8Array(4096));
  page[offsetBytes]! ^= 0x10;
  image.writeDurable(block, page);
}

describe('checkPool() on rotten devices', () => {
  test.each(pagesRead)(
    'reports a changed byte of %s, and nothing that only seems to follow',
    async (name) => {
      const findings = await findingsOf(
        () => {},
        (image) => {
          const [cell] = image.cells;
          rot(image, cell!.blockOf(cell!.pbnOf(name)));
        },
      );
      expect(findings.join('\n')).toMatch(
        /block \d+ has the checksum [0-9a-f]{8}, its pointer says/,
      );
      expect(findings.filter((finding) => finding.includes('nothing uses'))).toEqual([]);
    },
  );

  test.each([
    ['the first superblock', 0, /superblock copy 0: the checksum of a superblock is wrong/],
    ['the second superblock', 256, /superblock copy 1: the checksum of a superblock is wrong/],
    ['the last superblock', 2304 - 256, /superblock copy 2: the checksum of a superblock is wrong/],
    ['a copy of the newest root', 513, /copy 0 of the root in slot 1: the checksum of a cell root/],
    ['the other copy', 513 + 256, /copy 1 of the root in slot 1: the checksum of a cell root/],
  ])('reports a changed byte of %s', async (_, block, finding) => {
    const findings = await findingsOf(
      () => {},
      (image) => rot(image, block),
    );
    expect(findings.join('\n')).toMatch(finding);
    expect(findings).toHaveLength(1);
  });

  test('says so if there is no way in', async () => {
    const blank = await checkPool([new MemoryDevice('disk', new SimImage(2304))]);
    expect(blank.at(-1)).toBe('no superblock can be read');
    const rootless = await findingsOf(
      () => {},
      (image) => {
        for (const block of [513, 769]) image.image.writeDurable(block, new Uint8Array(4096));
      },
    );
    expect(rootless).toEqual(['cell 0: no root can be read']);
  });

  test('reports a device that is too small, and one that is missing', async () => {
    const { image } = buildImage([samplePool()]);
    const cut = new SimImage(2000);
    cut.writeDurable(0, image.read(0)!);
    cut.writeDurable(256, image.read(256)!);
    const findings = await checkPool([new MemoryDevice('disk', cut)]);
    expect(findings).toContain('superblock: "disk" has 8192000 bytes and should have 2304 blocks');
    const tiny = await checkPool([new MemoryDevice('disk', new SimImage(2))]);
    expect(tiny.at(-1)).toBe('no superblock can be read');
    expect(await checkPool([])).toEqual(['no superblock can be read']);
  });

  test('reports copies that are valid and differ', async () => {
    const poolUuid = new Uint8Array(16).fill(7);
    const superblocks = await findingsOf(
      () => {},
      ({ image }) => {
        const page = new Uint8Array(4096);
        const superblock = decodeSuperblock(image.read(256)!, 1);
        encodeSuperblock({ ...superblock, poolName: 'other' }, 1, page);
        image.writeDurable(256, page);
      },
    );
    expect(superblocks).toEqual([
      expect.stringMatching(/superblock copy 1 \(generation 1\) differs from copy 0 of "disk"/),
    ]);
    const roots = await findingsOf(
      () => {},
      ({ image }) => {
        const page = new Uint8Array(4096);
        const root = decodeCellRoot(image.read(769)!, { cell: 0, poolUuid, copyNumber: 1 });
        encodeCellRoot({ ...root, nextFamilyId: 9 }, 1, page);
        image.writeDurable(769, page);
      },
    );
    expect(roots).toEqual(['cell 0: the copies of the root in slot 1 differ']);
  });

  test('reports a root in the slot of the other generations', async () => {
    const findings = await findingsOf(
      () => {},
      ({ image }) => {
        for (const block of [513, 769]) image.writeDurable(block - 1, image.read(block)!);
      },
    );
    expect(findings[0]).toMatch(/root in slot 0: generation 3 belongs into the other slot/);
  });

  test('does not mind a journal and a lost copy of the root, if it is told of a crash', async () => {
    const spec = samplePool();
    spec.journal.push([{ op: 'delete', node: 3 }]);
    const built = buildImage([spec]);
    rot(built, 769);
    const devices = [new MemoryDevice('disk', built.image)];
    expect(await checkPool(devices)).toHaveLength(2);
    expect(await checkPool(devices, { isAfterCrash: true })).toEqual([]);
    rot(built, 513);
    expect(await checkPool(devices, { isAfterCrash: true })).toContain(
      'cell 0: no root can be read',
    );
  });

  test('finds the devices of a pool in any order, and misses one that is not there', async () => {
    const devices = ['first', 'second'].map((name) => new MemoryDevice(name, new SimImage(2304)));
    await formatStore(
      { poolName: 'wide', poolUuid: new Uint8Array(16).fill(3), geometry: storedPoolGeometry },
      { devices, environment: fixedEnvironment() },
    );
    expect(await checkPool(devices.toReversed())).toEqual([]);
    expect(await checkPool(devices.slice(0, 1))).toEqual([
      'the pool has 2 devices; number 1 is missing',
    ]);
  });

  test('turns an error of the device into a finding', async () => {
    const { image, cells } = buildImage([samplePool()]);
    const device = new MemoryDevice('disk', image);
    const bad = cells[0]!.blockOf(cells[0]!.pbnOf('catalog 0')) * 4096;
    const read = device.read.bind(device);
    device.read = (offsetBytes, target, done) => {
      if (offsetBytes !== bad) return read(offsetBytes, target, done);
      const context = { deviceName: 'disk', offsetBytes };
      setImmediate(done, new DeviceError('io', 'Read at byte 1 of "disk": EIO', context));
    };
    expect((await checkPool([device])).join('\n')).toMatch(/catalog, page 0: Read .*EIO/);
  });

  test('keeps its answer short, whatever happened', async () => {
    const findings = await findingsOf((spec) => {
      for (let block = 0; block < 112; block++) {
        spec.leaves['leaf1-w']!.entries[block] = `#${1000 + block}:6`;
      }
    });
    expect(findings).toHaveLength(201);
    expect(findings.at(-1)).toMatch(/^\d+ more$/);
  });
});

describe('checkPool() on several cells', () => {
  function secondCell(): ImageSpec {
    const spec = samplePool();
    spec.groups = [{ group: 1 }];
    for (const node of spec.nodes) if (node.name !== undefined) node.name += '2';
    return spec;
  }

  function check(second: ImageSpec): Promise<readonly string[]> {
    return checkPool([new MemoryDevice('disk', buildImage([samplePool(), second]).image)]);
  }

  test('finds nothing wrong with two valid ones', async () => {
    expect(await check(secondCell())).toEqual([]);
  });

  test('reports a group of two cells', async () => {
    const second = secondCell();
    second.groups.push({ group: 2 });
    expect(await check(second)).toEqual(['group 2 belongs to cell 0 and to cell 1']);
  });

  test('reports a name in two cells, but none that only a deleted node has', async () => {
    const second = secondCell();
    nodeOf(second, sampleNode.k).name = 'k';
    nodeOf(second, sampleNode.w).name = 'a';
    expect(await check(second)).toEqual(['volume "k" is in cell 0 and in cell 1']);
  });
});
