/**
 * Ranges of a Dataset Management command (NVM Command Set 1.0, section 3.2.3): context attributes 4 bytes, length in
 * blocks 4 (counted from one; 0 is nothing), starting LBA 8.
 */

/** Bytes of a range. */
export const rangeBytes = 16;

/** A range of blocks. */
export interface DiscardRange {
  readonly startLba: number;
  readonly blockCount: number;
}

/** The ranges that are not empty. */
export function readRanges(data: Buffer, count: number): readonly DiscardRange[] {
  const ranges: DiscardRange[] = [];
  for (let at = 0; at < count * rangeBytes; at += rangeBytes) {
    const blockCount = data.readUInt32LE(at + 4);
    const startLba = data.readUInt32LE(at + 12) * 2 ** 32 + data.readUInt32LE(at + 8);
    if (blockCount > 0) ranges.push({ startLba, blockCount });
  }
  return ranges;
}
