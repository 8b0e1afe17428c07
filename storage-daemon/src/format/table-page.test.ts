import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';

import { pbn, pointer, u32 } from '../testing/format/arbitraries.ts';
import { ourBug, refusal, withBytes } from '../testing/format/decoding.ts';
import { goldenBytes, hexLines } from '../testing/format/golden-bytes.ts';
import { blockSizeBytes } from '../units.ts';
import { crc32c } from './checksum.ts';
import { PageType, type PagePosition } from './page-header.ts';
import {
  decodeTablePage,
  emptyTable,
  encodeTablePage,
  tableFanOutMax,
  type TablePointers,
} from './table-page.ts';

const position: PagePosition = {
  type: PageType.mapTable,
  level: 2,
  cell: 1,
  family: 7,
  index: 0x01020304,
};
const golden = goldenBytes(
  blockSizeBytes,
  `
     0: 31 56                     magic
     2: 01                        type: map table
     3: 02                        level
     4: 01 00                     cell
     8: 07 00 00 00               family
    12: 04 03 02 01               index
    16: 09 00 00 00 00 00 00 00   generation
   128: 01 01 00 00               pbn of child 0
  1148: ff 01 00 00               pbn of child 255
  1152: 14 13 12 11               crc of child 0
  2172: 24 23 22 21               crc of child 255
  2176: 05 00 00 00               birth of child 0
  3196: 06 00 00 00               birth of child 255
`,
);

function goldenTable(): TablePointers {
  const table = emptyTable();
  table.pbn.set([0x101]);
  table.crc.set([0x11121314]);
  table.birth.set([5]);
  table.pbn.set([0x1ff], 255);
  table.crc.set([0x21222324], 255);
  table.birth.set([6], 255);
  return table;
}

function encoded(table: TablePointers, place = { position, generation: 9 }): Uint8Array {
  const page = new Uint8Array(blockSizeBytes).fill(0xee);
  encodeTablePage(table, place, page);
  return page;
}

describe('encodeTablePage()', () => {
  test('writes the golden bytes, every byte of the page', () => {
    expect(hexLines(encoded(goldenTable()))).toEqual(hexLines(golden));
  });

  test('refuses a place that no page can have', () => {
    const table = emptyTable();
    const at = (change: Partial<PagePosition>) => ({
      position: { ...position, ...change },
      generation: 1,
    });
    expect(() => encoded(table, at({ level: 256 }))).toThrow(ourBug);
    expect(() => encoded(table, at({ cell: 65_536 }))).toThrow(ourBug);
  });
});

describe('decodeTablePage()', () => {
  test('reads the golden bytes', () => {
    expect(decodeTablePage(golden, position)).toEqual(goldenTable());
  });

  test('returns what was encoded', () => {
    const anyTable = fc.array(pointer, { maxLength: tableFanOutMax }).map((pointers) => {
      const table = emptyTable();
      for (const [index, each] of pointers.entries()) {
        table.pbn[index] = each.pbn;
        table.crc[index] = each.crc;
        table.birth[index] = each.birth;
      }
      return table;
    });
    const anyPosition = fc.record({
      type: fc.constantFrom(...Object.values(PageType)),
      level: fc.nat(255),
      cell: fc.nat(0xffff),
      family: u32,
      index: u32,
    });
    fc.assert(
      fc.property(anyTable, anyPosition, fc.maxSafeNat(), (table, place, generation) => {
        expect(decodeTablePage(encoded(table, { position: place, generation }), place)).toEqual(
          table,
        );
      }),
    );
  });

  test('depends on the checksum in the pointer, which changes with every flipped bit', () => {
    const checksum = crc32c(golden);
    const page = new Uint8Array(golden);
    const unnoticed: number[] = [];
    for (let bit = 0; bit < blockSizeBytes * 8; bit++) {
      page[bit >> 3]! ^= 1 << (bit & 7);
      if (crc32c(page) === checksum) unnoticed.push(bit);
      page[bit >> 3]! ^= 1 << (bit & 7);
    }
    expect(unnoticed).toEqual([]);
  });

  test.each([
    ['a page cut short', golden.subarray(0, 4095), 'length'],
    ['an empty page', new Uint8Array(blockSizeBytes), 'magic'],
    ['another magic', withBytes(golden, 1, [0x57]), 'magic'],
    ['another type', withBytes(golden, 2, [2]), 'position'],
    ['another level', withBytes(golden, 3, [1]), 'position'],
    ['another cell', withBytes(golden, 5, [1]), 'position'],
    ['another family', withBytes(golden, 11, [1]), 'position'],
    ['another index', withBytes(golden, 12, [5]), 'position'],
    ['reserved bytes of the header', withBytes(golden, 6, [1]), 'reserved'],
    ['a generation above 2^53', withBytes(golden, 23, [1]), 'range'],
    ['reserved bytes before the pointers', withBytes(golden, 24, [1]), 'reserved'],
    ['reserved bytes before the first pbn', withBytes(golden, 127, [1]), 'reserved'],
    ['reserved bytes behind the births', withBytes(golden, 3200, [1]), 'reserved'],
    ['the last reserved byte', withBytes(golden, 4095, [1]), 'reserved'],
    ['a checksum without a page', withBytes(golden, 1156, [1]), 'range'],
    ['a birth without a page', withBytes(golden, 2180, [1]), 'range'],
  ])('refuses %s', (_, page, kind) => {
    expect(refusal(() => decodeTablePage(page, position))).toBe(kind);
  });

  test('copies, so that the page may be reused', () => {
    fc.assert(
      fc.property(pbn, (value) => {
        const table = emptyTable();
        table.pbn[3] = value;
        const page = Buffer.from(encoded(table));
        const found = decodeTablePage(page, position);
        page.fill(0);
        expect(found.pbn[3]).toBe(value);
      }),
    );
  });
});
