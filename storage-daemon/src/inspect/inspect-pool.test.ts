import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, test } from '@jest/globals';

import { openFileDevice } from '../device/file-device.ts';
import { buildImage } from '../testing/image/image-builder.ts';
import type { ImageSpec } from '../testing/image/image-spec.ts';
import { MemoryDevice } from '../testing/image/memory-device.ts';
import { samplePool } from '../testing/image/sample-pool.ts';
import { createStoredPool, storedPoolBlocks, writeFilled } from '../testing/image/stored-pool.ts';
import { SimImage } from '../testing/sim-image.ts';
import { inspectDevices, inspectPool } from './inspect-pool.ts';

async function inspect(image: SimImage): Promise<{ exitCode: number; lines: string[] }> {
  const lines: string[] = [];
  const exitCode = await inspectDevices([new MemoryDevice('disk', image)], (line) =>
    lines.push(line),
  );
  return { exitCode, lines };
}

function inspectSample(change: (spec: ImageSpec) => void = () => {}) {
  const spec = samplePool();
  change(spec);
  return inspect(buildImage([spec]).image);
}

/** A pool that the store left without a checkpoint: its last changes are in the journal alone. */
async function crashedPool(): Promise<SimImage> {
  const image = new SimImage(storedPoolBlocks);
  const store = await createStoredPool(new MemoryDevice('disk', image));
  const uuid = new Uint8Array(16);
  await store.createVolume({ name: 'a', uuid, sizeBlocks: 64, attributes: '{}' });
  await writeFilled(store, 'a', { 0: 1, 1: 2, 63: 3 });
  await store.checkpoint();
  await store.createSnapshot({ name: 's', uuid, volume: 'a', attributes: '{}' });
  await writeFilled(store, 'a', { 1: 4 });
  store.destroy();
  return image;
}

function bytesOf(image: SimImage): string {
  return image
    .writtenBlocks()
    .map((block) => `${block} ${Buffer.from(image.read(block)!).toString('base64')}`)
    .join('\n');
}

describe('inspectDevices()', () => {
  test('prints pool, cell, journal, trees and space, and that all invariants hold', async () => {
    const { exitCode, lines } = await inspectSample();
    expect(lines).toEqual([
      'pool "pool", UUID 07070707-0707-0707-0707-070707070707, made 2023-11-14T22:13:20.000Z, superblock generation 1',
      '  cells: 1; groups of 1 MiB, journals of 32 KiB, 256 KiB reserved per cell; 4 pointers to a table, 16 clusters to a leaf',
      '  device 0 "disk", UUID 08080808-0808-0808-0808-080808080808: 9 MiB, groups 0 to 2 from 5 MiB on',
      'cell 0: root 3, opening 1, journal from block 1 (slot 1) on',
      '  groups: 2 of 1 MiB; 224 KiB allocated (148 KiB metadata), 1.7 MiB free',
      '  free queue: 2 items',
      '  journal: 0 blocks with 0 records behind the root, 0 valid blocks in the ring',
      'volumes and snapshots of cell 0:',
      '  deleted snapshot (node 1): family 1, epoch 1, size 4 MiB, references 52 KiB, own 52 KiB, dropped 0 B',
      '  ├─ snapshot "s2" (node 2): family 1, epoch 2, size 4 MiB, references 52 KiB, own 4 KiB, dropped 4 KiB',
      '  │  volume "a" (node 0): family 1, epoch 3, size 4 MiB, references 52 KiB, own 8 KiB, dropped 8 KiB',
      '  └─ volume "k" (node 3): family 1, epoch 4, size 4 MiB, references 52 KiB, own 4 KiB, dropped 4 KiB',
      '  dying volume (node 4): family 1, epoch 5, size 4 MiB, references 56 KiB, own 4 KiB, dropped 0 B, freed up to 1 MiB, above epoch 2',
      'space: 3 MiB, 224 KiB allocated (148 KiB metadata), 2.7 MiB free (256 KiB reserved); 2 of 3 groups in use',
      'all invariants hold',
    ]);
    expect(exitCode).toBe(0);
  });

  test('prints each finding and exits with 1', async () => {
    const { exitCode, lines } = await inspectSample((spec) => spec.freed.push('d'));
    expect(lines.slice(-2)).toEqual([
      expect.stringMatching(/^found: cell 0: block \d+ is data and counts as free$/),
      '1 findings',
    ]);
    expect(exitCode).toBe(1);
  });

  test('shows a tree that is broken, too', async () => {
    const { exitCode, lines } = await inspectSample((spec) => {
      spec.nodes.find(({ id }) => id === 1)!.parent = 2;
    });
    expect(lines.filter((line) => line.startsWith('  ') && line.includes('(node '))).toHaveLength(
      5,
    );
    expect(lines.join('\n')).toContain('is its own ancestor');
    expect(exitCode).toBe(1);
  });

  test('replays a journal in memory, shows and checks what comes out, and writes nothing', async () => {
    const image = await crashedPool();
    const before = bytesOf(image);
    const { exitCode, lines } = await inspect(image);
    expect(lines).toContain(
      'the journal is replayed in memory; what follows is the pool after that',
    );
    expect(lines.join('\n')).toMatch(/block \d+, opening \d+, durable \d+: 1 snapshot\n/);
    expect(lines.join('\n')).toMatch(/snapshot "s" .*\n {2}volume "a"/);
    expect([exitCode, lines.at(-1)]).toEqual([0, 'all invariants hold']);
    expect(bytesOf(image)).toBe(before);
  });

  test('still checks the last checkpoint if recovery fails, and says why it does', async () => {
    const image = await crashedPool();
    const { lines: intact } = await inspect(image);
    expect(intact.at(-1)).toBe('all invariants hold');
    const catalog = findBlock(image, (page) => page[4] === 1 && page[129] === 'a'.charCodeAt(0));
    const rotten = new Uint8Array(image.read(catalog)!);
    rotten[30]! ^= 1;
    image.writeDurable(catalog, rotten);
    const { exitCode, lines } = await inspect(image);
    const found = lines.filter((line) => line.startsWith('found: ')).join('\n');
    expect(found).toMatch(/found: recovery: Reading metadata block \d+ of cell 0 failed/);
    expect(found).toMatch(/found: cell 0, catalog, page 0: block \d+ has the checksum/);
    expect(exitCode).toBe(1);
  });

  test('reports a hole in the journal, which keeps the store from writing', async () => {
    const image = await crashedPool();
    const [cut] = journalBlocks(image).slice(-2);
    image.writeDurable(cut!, new Uint8Array(4096));
    const { exitCode, lines } = await inspect(image);
    expect(lines.join('\n')).toMatch(/found: cell 0: journal hole: block \d+ cannot be read/);
    expect(exitCode).toBe(1);
  });

  test('says so if there is no pool', async () => {
    const { exitCode, lines } = await inspect(new SimImage(storedPoolBlocks));
    expect(lines).toContain('found: no superblock can be read');
    expect(exitCode).toBe(1);
  });
});

/** Blocks of the journal, by sequence. */
function journalBlocks(image: SimImage): number[] {
  const sequenceOf = (block: number) => Buffer.from(image.read(block)!).readUInt32LE(8);
  return image
    .writtenBlocks()
    .filter((block) => Buffer.from(image.read(block)!).toString('latin1', 0, 4) === 'VJB1')
    .toSorted((a, b) => sequenceOf(a) - sequenceOf(b));
}

/** The newest block whose content is so. */
function findBlock(image: SimImage, isIt: (page: Uint8Array) => boolean): number {
  const found = image.writtenBlocks().filter((block) => isIt(image.read(block)!));
  expect(found.length).toBeGreaterThan(0);
  return found.at(-1)!;
}

describe('inspectPool()', () => {
  test('reads a file without changing it, and not while another has it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'varve-inspect-'));
    try {
      const path = join(folder, 'disk');
      const { image } = buildImage([samplePool()]);
      const content = new Uint8Array(storedPoolBlocks * 4096);
      for (const block of image.writtenBlocks()) content.set(image.read(block)!, block * 4096);
      writeFileSync(path, content);
      const lines: string[] = [];
      expect(await inspectPool([path], (line) => lines.push(line))).toBe(0);
      expect(lines.at(-1)).toBe('all invariants hold');
      expect(Buffer.compare(readFileSync(path), content)).toBe(0);
      const device = openFileDevice(path);
      await expect(inspectPool([path], () => {})).rejects.toMatchObject({ kind: 'in-use' });
      await device.close();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
