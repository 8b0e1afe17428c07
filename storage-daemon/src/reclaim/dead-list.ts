/**
 * D(n), the dead list of a node: what its parent references and it does not (data blocks and map pages have one
 * each), in buckets by birth. The bounds of the buckets are the epochs of the node's ancestors when the entry died,
 * so that deleting a snapshot moves whole buckets and sums count without looking at entries.
 */
import { assert } from '@varve/common/assert';

import { deadPageEntries, type DeadBucketRecord } from '../format/dead-list.ts';
import { nullPointer, type MetadataPointer } from '../format/metadata-pointer.ts';
import { streamPageCounts } from '../format/stream-page.ts';
import { DeadSequence, type DeadEntry, type SpillPage } from './dead-sequence.ts';

interface Bucket {
  /** Births in the bucket are above it. */
  readonly birthLow: number;
  readonly sequence: DeadSequence;
}

/** Bytes of a bucket besides its segments, and of a directory besides its buckets. */
const bucketHeaderBytes = 12;

/** A dead list, and where its directory lies. */
export class DeadList {
  readonly family: number;
  #buckets: Bucket[] = [];
  #encodedBytes = 4;
  #tailEntries = 0;
  /** The directory on disk is older. */
  isDirty = false;
  /** Pages of the directory on disk. */
  directoryPages: number[] = [];
  /** Where the directory lies. */
  pointer: MetadataPointer = nullPointer;

  constructor(family: number) {
    this.family = family;
  }

  /** Takes over a directory. */
  static load(
    records: readonly DeadBucketRecord[],
    place: Pick<DeadList, 'family' | 'directoryPages' | 'pointer'>,
  ): DeadList {
    const list = new DeadList(place.family);
    list.#buckets = records.map(({ birthLow, segments }) => ({
      birthLow,
      sequence: DeadSequence.load(segments),
    }));
    list.directoryPages = place.directoryPages;
    list.pointer = place.pointer;
    list.#recount();
    return list;
  }

  /** Blocks in the list. */
  get blockCount(): number {
    let count = 0;
    for (const { sequence } of this.#buckets) count += sequence.entryCount;
    return count;
  }

  /** The most pages that a checkpoint writes for it now; none if it is not dirty. */
  get demandPages(): number {
    if (!this.isDirty) return 0;
    const directory = streamPageCounts(this.#encodedBytes).reduce((sum, count) => sum + count, 0);
    return directory + Math.floor(this.#tailEntries / deadPageEntries);
  }

  /** Adds a block. `birthLow` is the largest epoch of an ancestor below its birth. */
  append(birthLow: number, entry: DeadEntry): void {
    assert(entry.birth > birthLow, `birth ${entry.birth} is not above ${birthLow}`);
    this.isDirty = true;
    this.#bucketAt(birthLow).sequence.append(entry);
    this.#encodedBytes += 12;
    this.#tailEntries++;
  }

  /** Blocks born after `epoch`, which is a bound. */
  countAbove(epoch: number): number {
    let count = 0;
    for (const { birthLow, sequence } of this.#buckets) {
      if (birthLow >= epoch) count += sequence.entryCount;
    }
    return count;
  }

  /** Takes out what was born after `epoch`, oldest bucket first. */
  takeAbove(epoch: number): DeadSequence {
    const taken = new DeadSequence();
    const kept: Bucket[] = [];
    for (const bucket of this.#buckets) {
      if (bucket.birthLow >= epoch) taken.concatenate(bucket.sequence);
      else kept.push(bucket);
    }
    this.#buckets = kept;
    this.isDirty = true;
    this.#recount();
    return taken;
  }

  /** Takes over all of another list, which is not used any more. */
  absorb(other: DeadList): void {
    for (const { birthLow, sequence } of other.#buckets) {
      this.#bucketAt(birthLow).sequence.concatenate(sequence);
    }
    this.isDirty = true;
    this.#recount();
  }

  /** Bounds and counts, for sums that change nothing. */
  summary(): { birthLow: number; blockCount: number }[] {
    return this.#buckets.map(({ birthLow, sequence }) => ({
      birthLow,
      blockCount: sequence.entryCount,
    }));
  }

  /** The sequences of what was born after `epoch`. */
  sequencesAbove(epoch: number): DeadSequence[] {
    return this.#buckets.flatMap(({ birthLow, sequence }) => (birthLow >= epoch ? [sequence] : []));
  }

  /** Names the blocks of frames that a checkpoint has placed. */
  resolveFrames(): void {
    for (const { sequence } of this.#buckets) sequence.resolveFrames();
  }

  /** Writes full pages of entries, and returns what the directory is to hold. */
  spill(spillPage: SpillPage): DeadBucketRecord[] {
    for (const { sequence } of this.#buckets) sequence.spill(spillPage);
    this.#recount();
    return this.#buckets.map(({ birthLow, sequence }) => ({
      birthLow,
      blockCount: sequence.entryCount,
      segments: sequence.records(),
    }));
  }

  /** Pages of entries on disk. */
  entryPages(): number[] {
    return this.#buckets.flatMap(({ sequence }) => sequence.pagePbns());
  }

  #bucketAt(birthLow: number): Bucket {
    const index = this.#buckets.findIndex((bucket) => bucket.birthLow >= birthLow);
    const found = this.#buckets[index];
    if (found?.birthLow === birthLow) return found;
    const bucket = { birthLow, sequence: new DeadSequence() };
    this.#buckets.splice(index < 0 ? this.#buckets.length : index, 0, bucket);
    this.#encodedBytes += bucketHeaderBytes;
    return bucket;
  }

  #recount(): void {
    this.#encodedBytes = 4;
    this.#tailEntries = 0;
    for (const { sequence } of this.#buckets) {
      this.#encodedBytes += bucketHeaderBytes + sequence.encodedBytes;
      this.#tailEntries += sequence.memoryEntries;
    }
  }
}
