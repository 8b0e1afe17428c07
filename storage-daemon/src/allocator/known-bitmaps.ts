/** Bitmaps whose bits follow from the group list: of groups of which all blocks are in use, or none. */
import { crc32c } from '../format/checksum.ts';
import type { GroupEntry } from '../format/group-list.ts';
import { bitmapSlots } from '../format/pool-layout.ts';
import { blockSizeBytes } from '../units.ts';
import { GroupBitmap } from './group-bitmap.ts';

/** Makes bitmaps without reading them. */
export class KnownBitmaps {
  readonly #groupBlocks: number;
  readonly #fullWords: Uint32Array;
  readonly #fullCrc: number;
  readonly #emptyCrc: number;

  constructor(groupBlocks: number) {
    this.#groupBlocks = groupBlocks;
    this.#fullWords = new Uint32Array(Math.ceil(groupBlocks / 32)).fill(0xffffffff);
    const full = new GroupBitmap(0, groupBlocks);
    full.loadFull(this.#fullWords);
    this.#fullCrc = crcOf(full);
    this.#emptyCrc = crcOf(new GroupBitmap(0, groupBlocks));
  }

  /** The bitmap that the entry describes; undefined if it has to be read. */
  create({ group, freeBlocks, slotGeneration, bitmapCrc }: GroupEntry): GroupBitmap | undefined {
    const isFull = freeBlocks === 0 && bitmapCrc === this.#fullCrc && this.#groupBlocks % 32 === 0;
    const isEmpty = freeBlocks === this.#groupBlocks - bitmapSlots && bitmapCrc === this.#emptyCrc;
    if (!isFull && !isEmpty) return undefined;
    const bitmap = new GroupBitmap(group, this.#groupBlocks);
    if (isFull) bitmap.loadFull(this.#fullWords);
    bitmap.isDirty = false;
    bitmap.slotGeneration = slotGeneration;
    bitmap.bitmapCrc = bitmapCrc;
    return bitmap;
  }
}

function crcOf(bitmap: GroupBitmap): number {
  const page = new Uint8Array(blockSizeBytes);
  bitmap.encode(page);
  return crc32c(page);
}
