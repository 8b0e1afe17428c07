import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';

import { birth, u32 } from '../../testing/format/arbitraries.ts';
import { BlockList, shared, union, without } from './block-list.ts';

type Pair = [pbn: number, birth: number];

function listOf(pairs: readonly Pair[]): BlockList {
  const list = new BlockList();
  for (const [pbn, born] of pairs) list.add(pbn, born);
  return list.sort();
}

function pairsOf(list: BlockList): Pair[] {
  return Array.from({ length: list.length }, (_, index) => [list.pbn(index), list.birth(index)]);
}

function sorted(pairs: readonly Pair[]): Pair[] {
  return pairs.toSorted((a, b) => a[0] - b[0] || a[1] - b[1]);
}

/** Pairs with few different blocks, so that lists meet. */
const anyPairs = fc.uniqueArray(fc.tuple(fc.oneof(fc.nat(20), u32), birth), {
  selector: ([pbn]) => pbn,
  maxLength: 200,
});

describe('BlockList', () => {
  test('sorts by block, then by birth, whatever the size of the numbers', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(u32, birth), { maxLength: 300 }), (pairs) => {
        expect(pairsOf(listOf(pairs))).toEqual(sorted(pairs));
      }),
    );
  });

  test('union(), without() and shared() are those of sets of blocks', () => {
    fc.assert(
      fc.property(anyPairs, anyPairs, (first, second) => {
        const [a, b] = [listOf(first), listOf(second)];
        const inSecond = new Set(second.map(([pbn]) => pbn));
        expect(pairsOf(union(a, b))).toEqual(sorted([...first, ...second]));
        expect(pairsOf(without(a, b))).toEqual(sorted(first.filter(([pbn]) => !inSecond.has(pbn))));
        expect(pairsOf(shared(a, b))).toEqual(sorted(first.filter(([pbn]) => inSecond.has(pbn))));
      }),
    );
  });
});
