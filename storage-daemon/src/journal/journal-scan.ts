/**
 * What recovery finds in a cell's ring: the blocks to replay, and what the whole ring says of earlier openings and
 * roots.
 *
 * The chain begins at the root's journalStart and ends at the first block that is not its successor: never skipped
 * (2.7). A gap in the tail that nobody was told about is legal; one at or below a durableSequence that a later block
 * carries proves that the device lost acknowledged data.
 */
import { CorruptionError } from '../format/corruption-error.ts';
import type { JournalStart } from '../format/cell-root.ts';
import { decodeJournalBlock, hasJournalMagic, type JournalBlock } from '../format/journal-block.ts';
import { blockSizeBytes } from '../units.ts';

/** A ring as it was read. */
export interface JournalScan {
  /** Blocks to replay, in order. */
  readonly chain: readonly JournalBlock[];
  /** Highest in any valid block of the ring; 0 if there is none (J1). */
  readonly openGeneration: number;
  /** Highest root that any valid block says was durable. */
  readonly rootGeneration: number;
  /** Set if acknowledged blocks are missing behind the chain. */
  readonly hole: string | undefined;
}

/** Where a ring is and where its chain starts. */
export interface ScanOptions {
  readonly cell: number;
  readonly seed: number;
  readonly start: JournalStart;
}

/** Slots of a ring: the block in each, or undefined for anything stale, torn, foreign or never written. */
export type RingBlocks = readonly (JournalBlock | undefined)[];

/** Looks at a whole ring. */
export function scanJournal(blocks: RingBlocks, options: ScanOptions): JournalScan {
  const { start } = options;
  const chain: JournalBlock[] = [];
  let prevCrc = start.prevCrc;
  for (;;) {
    const sequence = start.sequence + chain.length;
    const block = blocks[sequence % blocks.length];
    if (block?.sequence !== sequence || block.prevCrc !== prevCrc) break;
    chain.push(block);
    prevCrc = block.crc;
  }
  const last = start.sequence + chain.length - 1;
  let openGeneration = 0;
  let rootGeneration = 0;
  let hole: string | undefined;
  for (const block of blocks) {
    if (!block) continue;
    openGeneration = Math.max(openGeneration, block.openGeneration);
    rootGeneration = Math.max(rootGeneration, block.rootGeneration);
    if (block.sequence > last && block.durableSequence > last) {
      hole =
        `journal hole in cell ${options.cell}: block ${last + 1} is missing, block ${block.sequence} says that ` +
        `everything up to ${block.durableSequence} was durable`;
    }
  }
  return { chain, openGeneration, rootGeneration, hole };
}

/** The blocks in a part of a ring; they share no memory with it. */
export function decodeRingPart(
  part: Uint8Array,
  { cell, seed }: Pick<ScanOptions, 'cell' | 'seed'>,
): RingBlocks {
  return Array.from({ length: part.length / blockSizeBytes }, (_, slot) => {
    const page = part.subarray(slot * blockSizeBytes, (slot + 1) * blockSizeBytes);
    // Most of a large ring was never written: not worth an error each.
    if (!hasJournalMagic(page)) return undefined;
    try {
      const block = decodeJournalBlock(page, cell, seed);
      return { ...block, slots: block.slots.slice() };
    } catch (error) {
      if (error instanceof CorruptionError) return undefined;
      throw error;
    }
  });
}
