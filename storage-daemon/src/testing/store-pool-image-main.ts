/**
 * Writes `storage-daemon/testdata/pool-format-<version>.img.gz` and what users see of it, once per version of the
 * on-disk format, with the build that is released. What is there already is never written again: later builds must
 * open it.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';

import { formatVersion } from '../format/superblock.ts';
import { blockSizeBytes } from '../units.ts';
import { MemoryDevice } from './image/memory-device.ts';
import {
  changePool,
  createStoredPool,
  fillPool,
  readContent,
  storedPoolBlocks,
} from './image/stored-pool.ts';
import { SimImage } from './sim-image.ts';

const folder = resolve(import.meta.dirname, '../../testdata');
const imagePath = join(folder, `pool-format-${formatVersion}.img.gz`);
const contentPath = join(folder, `pool-format-${formatVersion}.json`);

if (existsSync(imagePath)) {
  console.error(`Writing ${imagePath} failed: it exists, and an image is never replaced`);
  process.exit(1);
}
const image = new SimImage(storedPoolBlocks);
const store = await createStoredPool(new MemoryDevice('disk', image));
await fillPool(store);
await changePool(store);
const content = await readContent(store);
// As a crash leaves it: the journal must be readable, too.
store.destroy();
const bytes = new Uint8Array(storedPoolBlocks * blockSizeBytes);
for (const block of image.writtenBlocks()) bytes.set(image.read(block)!, block * blockSizeBytes);
mkdirSync(folder, { recursive: true });
writeFileSync(imagePath, gzipSync(bytes, { level: 9 }));
writeFileSync(contentPath, `${JSON.stringify(content, undefined, 2)}\n`);
console.log(`wrote ${imagePath} and ${contentPath}`);
