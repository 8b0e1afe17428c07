/** What must hold of groups, bitmaps, the free queue and the root's counters, once all uses of blocks are known. */
import type { FreeQueueItemRecord } from '../../format/dead-list.ts';
import { decodeFreeQueue } from '../../format/dead-list.ts';
import { bitmapSlots } from '../../format/pool-layout.ts';
import { isZero } from '../../format/byte-fields.ts';
import { blockSizeBytes } from '../../units.ts';
import { readSequence } from '../read/read-dead-list.ts';
import { readStream } from '../read/read-stream.ts';
import { BlockUse } from './block-uses.ts';
import type { CellState } from './cell-state.ts';

/** Claims what waits in the free queue, and the queue's own pages. */
export async function checkFreeQueue(state: CellState): Promise<void> {
  const { reader, root, uses, findings } = state;
  const what = `cell ${root.cell}, free queue`;
  const items = await findings.attempt(what, async () => {
    const owner = { cell: root.cell, family: 0 };
    const stream = await readStream(reader, root.freeQueue.pointer, owner);
    for (const pbn of stream.pbns) uses.claim(pbn, BlockUse.page, () => what);
    return decodeFreeQueue(stream.bytes);
  });
  if (!items) return uses.giveUp();
  const { count } = root.freeQueue;
  findings.expect(
    items.length === count,
    () => `${what}: the root counts ${count} items, there are ${items.length}`,
  );
  for (const item of items) {
    const name = `${what}, item ${item.id}`;
    findings.expect(
      item.id < root.nextQueueItemId,
      () => `${name} exists, the next one is to be ${root.nextQueueItemId}`,
    );
    const isRead = await findings.attempt(name, () => claimItem(state, item, name));
    if (!isRead) uses.giveUp();
  }
}

async function claimItem(
  { reader, uses, findings }: CellState,
  item: FreeQueueItemRecord,
  name: string,
): Promise<true> {
  const { blocks, pages } = await readSequence(reader, item.segments);
  findings.expect(
    item.done < blocks.length,
    () => `${name} has ${blocks.length} entries, ${item.done} are done`,
  );
  findings.expect(
    item.blockCount === blocks.length,
    () => `${name} counts ${item.blockCount} blocks and has ${blocks.length}`,
  );
  for (const { pbn, endIndex } of pages) {
    if (endIndex > item.done) uses.claim(pbn, BlockUse.page, () => `${name}, a page of entries`);
  }
  const use = item.isMeta ? BlockUse.freedPage : BlockUse.freedData;
  for (let index = item.done; index < blocks.length; index++) {
    const pbn = blocks.pbn(index);
    if (pbn === 0 && item.isMeta) continue;
    uses.claim(pbn, use, () => `${name}, entry ${index}`);
  }
  return true;
}

/** Claims the bitmap slots of all groups. */
export function claimSlots({ groups, uses, reader, root }: CellState): void {
  for (const { group } of groups) {
    for (let slot = 0; slot < bitmapSlots; slot++) {
      const pbn = group * reader.geometry.groupBlocks + slot;
      uses.claim(pbn, BlockUse.slot, () => `cell ${root.cell}, bitmap ${slot} of group ${group}`);
    }
  }
}

/** Compares all bitmaps with the uses, and the counters with both. */
export async function checkSpace(state: CellState): Promise<void> {
  const { groups, findings, root, uses } = state;
  let allocated = 0;
  let isRead = true;
  for (const entry of groups) {
    const what = `cell ${root.cell}, bitmap of group ${entry.group}`;
    const setCount = await findings.attempt(what, () => compareBitmap(state, entry, what));
    if (setCount === undefined) isRead = false;
    else allocated += setCount;
  }
  if (!isRead) return;
  findings.expect(
    root.allocatedBlocks === allocated,
    () =>
      `cell ${root.cell}: the root counts ${root.allocatedBlocks} allocated blocks, the bitmaps ${allocated}`,
  );
  if (!uses.isWhole) return;
  const metadata =
    uses.count(BlockUse.slot) + uses.count(BlockUse.page) + uses.count(BlockUse.freedPage);
  findings.expect(
    root.metadataBlocks === metadata,
    () =>
      `cell ${root.cell}: the root counts ${root.metadataBlocks} blocks of metadata, there are ${metadata}`,
  );
  let slack = 0;
  for (const node of state.nodes.values()) if (node.kind === 'volume') slack += node.slackBlocks;
  findings.expect(
    root.slackBlocks === slack,
    () =>
      `cell ${root.cell}: the root counts ${root.slackBlocks} blocks of slack, the volumes ${slack}`,
  );
}

async function compareBitmap(
  { reader, uses, findings }: CellState,
  { group, bitmapCrc, slotGeneration, freeBlocks }: CellState['groups'][number],
  what: string,
): Promise<number> {
  const { groupBlocks } = reader.geometry;
  const pbn = group * groupBlocks + (slotGeneration % bitmapSlots);
  const bitmap = await reader.readPage({ pbn, crc: bitmapCrc });
  const setCount = uses.compare(group, bitmap);
  findings.expect(
    groupBlocks - setCount === freeBlocks,
    () => `${what}: ${freeBlocks} blocks are said to be free, ${groupBlocks - setCount} are`,
  );
  const usedBytes = Math.ceil(groupBlocks / 8);
  const spare = groupBlocks % 8 === 0 ? 0 : bitmap[usedBytes - 1]! >> (groupBlocks % 8);
  findings.expect(
    spare === 0 && isZero(bitmap, usedBytes, blockSizeBytes),
    () => `${what}: bits behind the group's ${groupBlocks} blocks are set`,
  );
  return setCount;
}
