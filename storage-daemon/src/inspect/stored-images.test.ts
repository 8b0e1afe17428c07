/** Every build opens the pools that released builds have written: one image per version of the format. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';

import { describe, expect, test } from '@jest/globals';

import { formatVersion } from '../format/superblock.ts';
import { openStore } from '../store/open-store.ts';
import { MemoryDevice } from '../testing/image/memory-device.ts';
import { fixedEnvironment, readContent, writeFilled } from '../testing/image/stored-pool.ts';
import { SimImage } from '../testing/sim-image.ts';
import { blockSizeBytes } from '../units.ts';
import { checkPool } from './check-pool.ts';

const folder = resolve(import.meta.dirname, '../../testdata');
const versions = readdirSync(folder)
  .flatMap((file) => /^pool-format-(\d+)\.img\.gz$/.exec(file)?.[1] ?? [])
  .map(Number);

function loadDevice(version: number): MemoryDevice {
  const bytes = gunzipSync(readFileSync(join(folder, `pool-format-${version}.img.gz`)));
  const image = new SimImage(bytes.length / blockSizeBytes);
  for (let block = 0; block < image.sizeBlocks; block++) {
    const page = bytes.subarray(block * blockSizeBytes, (block + 1) * blockSizeBytes);
    if (page.some((byte) => byte !== 0)) image.writeDurable(block, new Uint8Array(page));
  }
  return new MemoryDevice('disk', image);
}

function open(device: MemoryDevice) {
  return openStore({}, { devices: [device], environment: fixedEnvironment() });
}

describe('pools of every format version', () => {
  test('there is an image of the version that this build writes', () => {
    expect(versions).toContain(formatVersion);
  });

  test.each(versions)('version %i opens, shows its content, and takes changes', async (version) => {
    const device = loadDevice(version);
    const findings = await checkPool([device]);
    expect(findings).toEqual([expect.stringMatching(/journal blocks follow the last checkpoint/)]);
    const store = await open(device);
    const content = JSON.parse(
      readFileSync(join(folder, `pool-format-${version}.json`), 'utf8'),
    ) as unknown;
    // As JSON has it: without the fields that are undefined.
    expect(JSON.parse(JSON.stringify(await readContent(store)))).toEqual(content);
    await writeFilled(store, 'a', { 5: 99, 0: 98 });
    const changed = await readContent(store);
    expect(changed.volumes.find(({ name }) => name === 'a')?.fills).toMatchObject({ 0: 98, 5: 99 });
    await store.drainBackgroundWork();
    await store.close();
    expect(await checkPool([device])).toEqual([]);
    const again = await open(device);
    expect((await readContent(again)).volumes).toMatchObject(
      changed.volumes.map(({ name, fills }) => ({ name, fills })),
    );
    again.destroy();
  });
});
