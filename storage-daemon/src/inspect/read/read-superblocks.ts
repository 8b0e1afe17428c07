/** Finds the superblock of a pool among all its copies, and brings the devices into the order of its device table. */
import type { BlockDevice } from '../../device/block-device.ts';
import { checkFormat } from '../../format/corruption-error.ts';
import { checkGeometry, superblockBlocks } from '../../format/pool-layout.ts';
import { decodeSuperblock, type Superblock } from '../../format/superblock.ts';
import { blockSizeBytes } from '../../units.ts';
import type { Findings } from '../findings.ts';
import { PoolReader, readBlocks } from './pool-reader.ts';

interface FoundCopy {
  readonly device: BlockDevice;
  readonly copyNumber: number;
  readonly superblock: Superblock;
}

/** All devices of the pool, or undefined if there is no way in; why is a finding. */
export async function openPoolReader(
  devices: readonly BlockDevice[],
  findings: Findings,
): Promise<PoolReader | undefined> {
  const copies: FoundCopy[] = [];
  for (const device of devices) copies.push(...(await readCopies(device, findings)));
  const newest = copies.toSorted((a, b) => b.superblock.generation - a.superblock.generation)[0];
  if (!newest) {
    findings.add('no superblock can be read');
    return undefined;
  }
  for (const copy of copies) compareCopies(newest, copy, findings);
  const table = newest.superblock.devices;
  const ordered = table.map(
    (_, index) =>
      copies.find(
        ({ superblock }) =>
          superblock.deviceIndex === index && isSamePool(superblock, newest.superblock),
      )?.device,
  );
  const missing = ordered.flatMap((device, index) => (device ? [] : [index]));
  if (missing.length > 0) {
    findings.add(`the pool has ${table.length} devices; number ${missing.join(', ')} is missing`);
    return undefined;
  }
  return findings.attempt('superblock', async () => {
    checkGeometry(newest.superblock.geometry, table);
    for (const [index, device] of ordered.entries()) checkSize(device!, table[index]!.sizeBlocks);
    return new PoolReader(newest.superblock, ordered as BlockDevice[]);
  });
}

async function readCopies(device: BlockDevice, findings: Findings): Promise<FoundCopy[]> {
  const copies: FoundCopy[] = [];
  const sizeBlocks = Math.floor(device.sizeBytes / blockSizeBytes);
  const blocks = superblockBlocks(sizeBlocks).filter((block) => block >= 0 && block < sizeBlocks);
  for (const [copyNumber, block] of blocks.entries()) {
    const superblock = await findings.attempt(
      `"${device.name}", superblock copy ${copyNumber}`,
      async () => decodeSuperblock(await readBlocks(device, block), copyNumber),
    );
    if (superblock) copies.push({ device, copyNumber, superblock });
  }
  return copies;
}

function isSamePool(a: Superblock, b: Superblock): boolean {
  return Buffer.compare(a.poolUuid, b.poolUuid) === 0;
}

/** Copies differ in nothing but the index of the device that they are on. */
function compareCopies(newest: FoundCopy, copy: FoundCopy, findings: Findings): void {
  const text = ({ superblock }: FoundCopy) => JSON.stringify({ ...superblock, deviceIndex: 0 });
  if (text(newest) === text(copy)) return;
  findings.add(
    `"${copy.device.name}", superblock copy ${copy.copyNumber} (generation ${copy.superblock.generation}) differs ` +
      `from copy ${newest.copyNumber} of "${newest.device.name}" (generation ${newest.superblock.generation})`,
  );
}

function checkSize(device: BlockDevice, sizeBlocks: number): void {
  checkFormat(
    device.sizeBytes >= sizeBlocks * blockSizeBytes,
    'range',
    () => `"${device.name}" has ${device.sizeBytes} bytes and should have ${sizeBlocks} blocks`,
    192,
  );
}
