/** What a cell's journal ring holds: the blocks that recovery would replay, and traces of blocks that are gone. */
import type { CellRoot } from '../../format/cell-root.ts';
import { decodeJournalBlock, type JournalBlock, journalSeed } from '../../format/journal-block.ts';
import { decodeJournalRecords, type JournalRecord } from '../../format/journal-record.ts';
import { journalBlockOf } from '../../format/pool-layout.ts';
import { blockSizeBytes } from '../../units.ts';
import type { Findings } from '../findings.ts';
import type { PoolReader } from './pool-reader.ts';

/** Blocks read in one request: 1 MiB. */
const blocksPerRead = 256;

/** A block of the chain that begins at the root's journalStart. */
export interface ReplayedBlock {
  readonly slot: number;
  readonly block: JournalBlock;
  /** Undefined if its checksum is right and its content is not. */
  readonly records: readonly JournalRecord[] | undefined;
}

/** A cell's journal. */
export interface Journal {
  /** In order of replay. */
  readonly chain: readonly ReplayedBlock[];
  /** Valid blocks anywhere in the ring. */
  readonly validCount: number;
}

/** Reads the whole ring. */
export async function readJournal(
  reader: PoolReader,
  root: CellRoot,
  findings: Findings,
): Promise<Journal | undefined> {
  const { ringBlocks } = reader.geometry;
  const { slot: startSlot, sequence: startSequence, prevCrc } = root.journalStart;
  const what = `cell ${root.cell}, journal`;
  if (startSlot >= ringBlocks) {
    findings.add(`${what}: it starts at slot ${startSlot} of ${ringBlocks}`);
    return undefined;
  }
  const valid = await findings.attempt(what, () => readValidBlocks(reader, root));
  if (!valid) return undefined;
  const chain: ReplayedBlock[] = [];
  let expectedCrc = prevCrc;
  while (chain.length < ringBlocks) {
    const slot = (startSlot + chain.length) % ringBlocks;
    const block = valid.get(slot);
    if (block?.sequence !== startSequence + chain.length || block.prevCrc !== expectedCrc) break;
    expectedCrc = block.crc;
    const records = await findings.attempt(`${what}, block ${block.sequence}`, async () =>
      decodeJournalRecords(block.slots),
    );
    chain.push({ slot, block, records });
  }
  reportLosses(
    { root, lastSequence: startSequence + chain.length - 1 },
    [...valid.values()],
    findings,
  );
  return { chain, validCount: valid.size };
}

async function readValidBlocks(
  reader: PoolReader,
  { cell }: CellRoot,
): Promise<Map<number, JournalBlock>> {
  const { geometry, superblock } = reader;
  const seed = journalSeed(superblock.poolUuid, cell);
  const valid = new Map<number, JournalBlock>();
  for (let first = 0; first < geometry.ringBlocks; first += blocksPerRead) {
    const count = Math.min(blocksPerRead, geometry.ringBlocks - first);
    const bytes = await reader.readFixed(journalBlockOf(geometry, cell, first), count);
    for (let index = 0; index < count; index++) {
      const page = bytes.subarray(index * blockSizeBytes, (index + 1) * blockSizeBytes);
      const block = tryDecode(page, cell, seed);
      if (block) valid.set(first + index, block);
    }
  }
  return valid;
}

/** A block that fails is no block of this journal: nothing was ever written there, or it is torn, or from before. */
function tryDecode(page: Uint8Array, cell: number, seed: number): JournalBlock | undefined {
  try {
    return decodeJournalBlock(page, cell, seed);
  } catch {
    return undefined;
  }
}

/** Valid blocks testify what was durable when they were built. */
function reportLosses(
  { root, lastSequence }: { root: CellRoot; lastSequence: number },
  blocks: readonly JournalBlock[],
  findings: Findings,
): void {
  const what = `cell ${root.cell}`;
  for (const block of blocks) {
    findings.expect(
      block.rootGeneration <= root.rootGeneration,
      () =>
        `${what}: journal block ${block.sequence} knows root ${block.rootGeneration}, ` +
        `the newest that can be read is ${root.rootGeneration}`,
    );
    findings.expect(
      block.durableSequence <= lastSequence,
      () =>
        `${what}: journal hole: block ${lastSequence + 1} cannot be read, ` +
        `block ${block.sequence} says that ${block.durableSequence} was durable`,
    );
  }
}
