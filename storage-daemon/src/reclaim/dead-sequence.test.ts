import { expect, test } from '@jest/globals';

import { deadPageEntries, type DeadEntries } from '../format/dead-list.ts';
import { DeadSequence } from './dead-sequence.ts';

function sequenceOf(from: number, count: number): DeadSequence {
  const sequence = new DeadSequence();
  for (let pbn = from; pbn < from + count; pbn++) {
    sequence.append({ pbn, birth: 1, frame: undefined });
  }
  return sequence;
}

/** Takes [from, end) as background work does: pages that are missing are read first. */
function takeResident(
  sequence: DeadSequence,
  pages: ReadonlyMap<number, DeadEntries>,
  range: { from: number; end: number },
) {
  for (;;) {
    const missing = sequence.findMissing(range.from, range.end);
    if (!missing) return sequence.take(range.from, range.end);
    missing.resolve(pages.get(missing.pbn)!);
  }
}

test('steps count the same entries, whatever was spilled or added between them', () => {
  const entryCount = 6 * deadPageEntries + 100;
  const pages = new Map<number, DeadEntries>();
  const spillPage = (entries: DeadEntries) => {
    const pbn = 1_000_000 + pages.size;
    pages.set(pbn, entries);
    return { pbn, crc: 0 };
  };
  const sequence = sequenceOf(1, 3 * deadPageEntries);
  const taken: number[] = [];
  const finished: number[] = [];
  let done = 0;
  for (let step = 0; done < entryCount; step++) {
    const end = Math.min(sequence.entryCount, done + 200);
    const { entries, finishedPages } = takeResident(sequence, pages, { from: done, end });
    taken.push(...entries.map(({ pbn }) => pbn));
    finished.push(...finishedPages);
    done = end;
    if (step === 1) sequence.concatenate(sequenceOf(3 * deadPageEntries + 1, deadPageEntries));
    if (step === 3) sequence.concatenate(sequenceOf(4 * deadPageEntries + 1, entryCount - 2048));
    if (step % 4 === 2) sequence.spill(spillPage, done);
  }
  expect(sequence.entryCount).toBe(entryCount);
  expect(taken).toEqual(Array.from({ length: entryCount }, (_, index) => index + 1));
  expect(new Set(finished)).toEqual(new Set(pages.keys()));
  expect(finished).toHaveLength(pages.size);
});

test('a look at the front is possible after later steps', () => {
  const sequence = sequenceOf(1, 1000);
  sequence.take(600, 900);
  expect(sequence.take(0, 2).entries.map(({ pbn }) => pbn)).toEqual([1, 2]);
  expect(sequence.take(998, 1000).entries.map(({ pbn }) => pbn)).toEqual([999, 1000]);
});
