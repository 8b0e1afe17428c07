/**
 * What a simulated device holds: durable media and, in front of it, a volatile cache of completed writes.
 *
 * Blocks are 4 KiB and immutable once stored, so that a clone of an image (for crash enumeration) is a copy of a map.
 * The cache is an ordered list, not a map: a drive may have destaged an older version of a block and lost the newer
 * one.
 */
import { assert } from '@varve/common/assert';

import { blockSizeBytes } from '../units.ts';
import type { SeededRandom } from './seeded-random.ts';

/** Bytes that a drive with 512-byte sectors writes as one: a power cut may keep any of a block's eight. */
const sectorSizeBytes = 512;

/** One block of a write that is not durable: completed into the cache, or still in flight. */
export interface BlockWrite {
  readonly block: number;
  readonly bytes: Uint8Array;
}

interface CachedWrite extends BlockWrite {
  readonly sequence: number;
}

/** Content of one simulated device. */
export class SimImage {
  readonly sizeBlocks: number;
  readonly #media: Map<number, Uint8Array>;
  #cache: CachedWrite[] = [];
  readonly #newest = new Map<number, CachedWrite>();
  #sequence = 0;

  constructor(sizeBlocks: number, media = new Map<number, Uint8Array>()) {
    this.sizeBlocks = sizeBlocks;
    this.#media = media;
  }

  /** What a read finds; undefined for a block never written (zeros). */
  read(block: number): Uint8Array | undefined {
    return this.#newest.get(block)?.bytes ?? this.#media.get(block);
  }

  /** A durable write: FUA, or a device without a volatile cache. It replaces cached versions of the block. */
  writeDurable(block: number, bytes: Uint8Array): void {
    this.#checkWrite(block, bytes);
    this.#media.set(block, bytes);
    if (this.#newest.delete(block)) {
      this.#cache = this.#cache.filter((write) => write.block !== block);
    }
  }

  /** A completed write that a power cut may still lose. */
  writeCached(block: number, bytes: Uint8Array): void {
    this.#checkWrite(block, bytes);
    const write = { block, bytes, sequence: this.#sequence++ };
    this.#cache.push(write);
    this.#newest.set(block, write);
  }

  /** Names all writes cached so far, for `flushUpTo`. */
  flushMark(): number {
    return this.#sequence;
  }

  /** Makes durable what was cached before `mark` was taken. */
  flushUpTo(mark: number): void {
    const later: CachedWrite[] = [];
    for (const write of this.#cache) {
      if (write.sequence >= mark) {
        later.push(write);
        continue;
      }
      this.#media.set(write.block, write.bytes);
      if (this.#newest.get(write.block) === write) this.#newest.delete(write.block);
    }
    this.#cache = later;
  }

  /** Completed writes that a power cut may lose, oldest first. */
  cached(): readonly BlockWrite[] {
    return this.#cache;
  }

  /** The image after a power cut that kept exactly `kept` of what was not durable, in this order. */
  afterPowerCut(kept: readonly BlockWrite[]): SimImage {
    const media = new Map(this.#media);
    for (const { block, bytes } of kept) media.set(block, bytes);
    return new SimImage(this.sizeBlocks, media);
  }

  /** An independent copy, cache included. */
  clone(): SimImage {
    const copy = new SimImage(this.sizeBlocks, new Map(this.#media));
    for (const { block, bytes } of this.#cache) copy.writeCached(block, bytes);
    return copy;
  }

  /** Block numbers that hold something, in order. */
  writtenBlocks(): number[] {
    return [...new Set([...this.#media.keys(), ...this.#newest.keys()])].sort((a, b) => a - b);
  }

  #checkWrite(block: number, bytes: Uint8Array): void {
    assert(block >= 0 && block < this.sizeBlocks, `block ${block} is outside the device`);
    assert(bytes.length === blockSizeBytes, `${bytes.length} bytes are not a block`);
  }
}

/** The block after a power cut in the middle of writing it: each 512-byte sector is the old or the new one. */
export function tearBlock(
  older: Uint8Array | undefined,
  newer: Uint8Array,
  random: SeededRandom,
): Uint8Array {
  const torn = new Uint8Array(blockSizeBytes);
  if (older) torn.set(older);
  for (let start = 0; start < blockSizeBytes; start += sectorSizeBytes) {
    if (random.chance(0.5)) torn.set(newer.subarray(start, start + sectorSizeBytes), start);
  }
  return torn;
}
