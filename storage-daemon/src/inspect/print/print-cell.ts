/** The state of one cell, for people. */
import type { CellRoot } from '../../format/cell-root.ts';
import type { GroupEntry } from '../../format/group-list.ts';
import type { JournalRecord } from '../../format/journal-record.ts';
import type { Journal } from '../read/read-journal.ts';
import { formatBlocks } from './print-superblock.ts';

/** Journal blocks that are printed one by one. */
const journalBlocksMax = 20;

/** The newest root, and what the cell has of the pool. */
export function describeCell(
  root: CellRoot,
  groups: readonly GroupEntry[],
  { groupBlocks }: { groupBlocks: number },
): string[] {
  const { cell, rootGeneration, openGeneration, journalStart } = root;
  const free = groups.reduce((sum, { freeBlocks }) => sum + freeBlocks, 0);
  return [
    `cell ${cell}: root ${rootGeneration}, opening ${openGeneration}, journal from block ${journalStart.sequence} ` +
      `(slot ${journalStart.slot}) on`,
    `  groups: ${groups.length} of ${formatBlocks(groupBlocks)}; ${formatBlocks(root.allocatedBlocks)} allocated ` +
      `(${formatBlocks(root.metadataBlocks)} metadata), ${formatBlocks(free)} free`,
    `  free queue: ${root.freeQueue.count} items`,
  ];
}

/** What recovery replays. */
export function describeJournal({ chain, validCount }: Journal): string[] {
  const records = chain.reduce((sum, block) => sum + (block.records?.length ?? 0), 0);
  const lines = [
    `  journal: ${chain.length} blocks with ${records} records behind the root, ${validCount} valid blocks in the ring`,
  ];
  for (const { block, records: found } of chain.slice(0, journalBlocksMax)) {
    const { sequence, openGeneration, durableSequence } = block;
    lines.push(
      `    block ${sequence}, opening ${openGeneration}, durable ${durableSequence}: ${describeRecords(found)}`,
    );
  }
  const rest = chain.length - journalBlocksMax;
  if (rest > 0) lines.push(`    and ${rest} more`);
  return lines;
}

function describeRecords(records: readonly JournalRecord[] | undefined): string {
  if (!records) return 'records that cannot be read';
  if (records.length === 0) return 'no records';
  const counts = new Map<string, number>();
  for (const { op } of records) counts.set(op, (counts.get(op) ?? 0) + 1);
  return [...counts].map(([op, count]) => `${count} ${op}`).join(', ');
}
