/**
 * An ordered sequence of dead blocks: pages of entries that are on disk, and entries in memory. Moving and
 * concatenating sequences moves segments and never reorders entries, and spilling to pages keeps their order too:
 * FREED records count entries, and must count the same whether or not a checkpoint has come in between.
 *
 * An entry for a map page that is dirty names the frame, because its block is known at the next checkpoint only
 * (J11).
 */
import { assert } from '@varve/common/assert';

import { deadPageEntries, type DeadEntries, type DeadSegmentRecord } from '../format/dead-list.ts';
import type { MapFrame } from '../map/map-frame.ts';

/** Entries in memory. `frames` has the frame of an entry for a dirty page. */
interface TailSegment {
  readonly kind: 'entries';
  readonly pbns: number[];
  readonly births: number[];
  readonly frames: Map<number, MapFrame>;
}

/** A page of entries on disk. `entries` once it was read. */
interface PageSegment {
  readonly kind: 'page';
  readonly pbn: number;
  readonly crc: number;
  readonly count: number;
  entries: DeadEntries | undefined;
}

type Segment = TailSegment | PageSegment;

/** One dead block. */
export interface DeadEntry {
  readonly pbn: number;
  readonly birth: number;
  readonly frame: MapFrame | undefined;
}

/** A page of entries that is to be read. */
export interface MissingDeadPage {
  readonly pbn: number;
  readonly crc: number;
  readonly count: number;
  readonly resolve: (entries: DeadEntries) => void;
}

/** Where full pages go when a checkpoint spills entries. */
export type SpillPage = (entries: DeadEntries) => { readonly pbn: number; readonly crc: number };

/** Dead blocks in order. */
export class DeadSequence {
  readonly #segments: Segment[] = [];
  #entryCount = 0;
  /** A segment and its first entry: where the last look began. Steps go forward; none begins at the front again. */
  #seen = { index: 0, start: 0 };

  /** Takes over what a stream holds. */
  static load(records: readonly DeadSegmentRecord[]): DeadSequence {
    const sequence = new DeadSequence();
    for (const record of records) {
      sequence.#entryCount += record.kind === 'page' ? record.count : record.pbns.length;
      sequence.#segments.push(
        record.kind === 'page'
          ? { ...record, entries: undefined }
          : {
              kind: 'entries',
              pbns: [...record.pbns],
              births: [...record.births],
              frames: new Map(),
            },
      );
    }
    return sequence;
  }

  get entryCount(): number {
    return this.#entryCount;
  }

  /** Upper bound of bytes in a stream. */
  get encodedBytes(): number {
    let bytes = 0;
    for (const segment of this.#segments) {
      bytes += segment.kind === 'page' ? 12 : 4 + 8 * segment.pbns.length;
    }
    return bytes;
  }

  /** Entries that are not in pages. */
  get memoryEntries(): number {
    let count = 0;
    for (const segment of this.#segments) {
      if (segment.kind === 'entries') count += segment.pbns.length;
    }
    return count;
  }

  append(entry: DeadEntry): void {
    let last = this.#segments.at(-1);
    if (last?.kind !== 'entries') {
      last = { kind: 'entries', pbns: [], births: [], frames: new Map() };
      this.#segments.push(last);
    }
    if (entry.frame) last.frames.set(last.pbns.length, entry.frame);
    last.pbns.push(entry.pbn);
    last.births.push(entry.birth);
    this.#entryCount++;
  }

  /** Appends all of another sequence, which is not used any more. */
  concatenate(other: DeadSequence): void {
    for (const segment of other.#segments) {
      const last = this.#segments.at(-1);
      if (last?.kind !== 'entries' || segment.kind !== 'entries') {
        this.#segments.push(segment);
        continue;
      }
      for (const [index, frame] of segment.frames) last.frames.set(last.pbns.length + index, frame);
      for (const pbn of segment.pbns) last.pbns.push(pbn);
      for (const birth of segment.births) last.births.push(birth);
    }
    this.#entryCount += other.#entryCount;
  }

  /** The frames that entries name. */
  *frames(): Generator<MapFrame> {
    for (const segment of this.#segments) {
      if (segment.kind === 'entries') yield* segment.frames.values();
    }
  }

  /** Replaces frames by the blocks that a checkpoint gave them. */
  resolveFrames(): void {
    for (const segment of this.#segments) {
      if (segment.kind !== 'entries') continue;
      for (const [index, frame] of segment.frames) segment.pbns[index] = frame.pbn;
      segment.frames.clear();
    }
  }

  /**
   * Writes as many full pages as the entries in memory fill. No entry names a frame. Segments that begin before entry
   * `from` stay: a page whose entries are used up already would never be freed.
   */
  spill(spillPage: SpillPage, from = 0): void {
    this.#seen = { index: 0, start: 0 };
    let start = 0;
    for (let index = 0; index < this.#segments.length; index++) {
      const segment = this.#segments[index]!;
      const isUsed = start < from;
      start += countOf(segment);
      if (segment.kind !== 'entries' || isUsed) continue;
      assert(segment.frames.size === 0, 'an entry to be written names a frame');
      const pages: Segment[] = [];
      const fullEnd = segment.pbns.length - (segment.pbns.length % deadPageEntries);
      for (let first = 0; first < fullEnd; first += deadPageEntries) {
        const pbns = segment.pbns.slice(first, first + deadPageEntries);
        const births = segment.births.slice(first, first + deadPageEntries);
        const pointer = spillPage({ pbns, births });
        const page = { kind: 'page', ...pointer, count: pbns.length } as const;
        pages.push({ ...page, entries: undefined });
      }
      if (pages.length === 0) continue;
      // Once, not per page: the cut waits for it.
      segment.pbns.splice(0, fullEnd);
      segment.births.splice(0, fullEnd);
      const rest = segment.pbns.length > 0 ? [segment] : [];
      this.#segments.splice(index, 1, ...pages, ...rest);
      index += pages.length + rest.length - 1;
    }
  }

  /**
   * What a stream stores. An entry that still names a frame stores the block that the frame has now: none if it was
   * never written.
   */
  records(): DeadSegmentRecord[] {
    return this.#segments.map((segment): DeadSegmentRecord => {
      if (segment.kind === 'page') {
        const { kind, pbn, crc, count } = segment;
        return { kind, pbn, crc, count };
      }
      const pbns = segment.pbns.map((pbn, index) => segment.frames.get(index)?.pbn ?? pbn);
      return { kind: 'entries', pbns, births: segment.births };
    });
  }

  /** The first page of entries in [from, end) that was not read yet. */
  findMissing(from: number, end: number): MissingDeadPage | undefined {
    for (const { segment } of this.#between(from, end)) {
      if (segment.kind !== 'page' || segment.entries) continue;
      const { pbn, crc, count } = segment;
      const resolve = (entries: DeadEntries) => {
        segment.entries = entries;
      };
      return { pbn, crc, count, resolve };
    }
    return undefined;
  }

  /** Entries [from, end), all in memory, and the pages that end in this range. */
  take(from: number, end: number): { entries: DeadEntry[]; finishedPages: number[] } {
    const entries: DeadEntry[] = [];
    const finishedPages: number[] = [];
    for (const { segment, start } of this.#between(from, end)) {
      const count = countOf(segment);
      const first = Math.max(from, start);
      const last = Math.min(end, start + count);
      for (let index = first; index < last; index++) entries.push(entryOf(segment, index - start));
      if (segment.kind === 'page' && start + count <= end) {
        finishedPages.push(segment.pbn);
        segment.entries = undefined;
      }
    }
    return { entries, finishedPages };
  }

  /** The segments that have entries in [from, end), with the number of their first entry. */
  *#between(from: number, end: number): Generator<{ segment: Segment; start: number }> {
    let { index, start } = from >= this.#seen.start ? this.#seen : { index: 0, start: 0 };
    for (; index < this.#segments.length && start < end; index++) {
      const segment = this.#segments[index]!;
      const next = start + countOf(segment);
      if (next > from) {
        if (start <= from) this.#seen = { index, start };
        yield { segment, start };
      }
      start = next;
    }
  }

  /** Pages on disk that hold entries. */
  pagePbns(): number[] {
    return this.#segments.flatMap((segment) => (segment.kind === 'page' ? [segment.pbn] : []));
  }
}

function countOf(segment: Segment): number {
  return segment.kind === 'page' ? segment.count : segment.pbns.length;
}

function entryOf(segment: Segment, index: number): DeadEntry {
  const source = segment.kind === 'page' ? segment.entries : segment;
  assert(source !== undefined, 'a page of dead blocks is not resident');
  const frame = segment.kind === 'entries' ? segment.frames.get(index) : undefined;
  return { pbn: source.pbns[index]!, birth: source.births[index]!, frame };
}
