import { describe, expect, test } from '@jest/globals';

import { summarize } from './measure.ts';
import { formatBound, formatFigure, formatTable } from './table.ts';

const samples = [
  { ours: 180_000, peer: 100_000 },
  { ours: 150_000, peer: 100_000 },
  { ours: 200_000, peer: 100_000 },
];

describe('formatTable()', () => {
  const result = summarize({ name: 'nbd/load/peer', unit: 'IOPS' }, samples);
  const table = formatTable([result], [{ name: 'a/b/c', reason: 'needs nbdkit' }], []);
  const lines = table.split('\n');

  test('has a line for each row, measured or left out, all of one width', () => {
    expect(lines).toHaveLength(4);
    expect(new Set(lines.map((line) => line.length)).size).toBe(1);
  });

  test('shows medians, ratio and the range of single ratios', () => {
    const cells = lines[2]!.split('|').map((cell) => cell.trim());
    expect(cells.slice(1, 8)).toEqual([
      'nbd/load/peer',
      '180000',
      '100000',
      'IOPS',
      '1.80',
      '1.50 to 2.00',
      '3',
    ]);
  });

  test('says why a row was left out', () => {
    expect(lines[3]).toContain('needs nbdkit');
  });
});

test.each([
  [123456.7, '123457'],
  [432.1, '432'],
  [43.21, '43.2'],
  [0.321, '0.32'],
])('formatFigure(%p) is %p', (figure, text) => {
  expect(formatFigure(figure)).toBe(text);
});

test.each([
  ['higher', { of: 'ratio', limit: 1.4 }, '>= 1.4: yes'],
  ['higher', { of: 'ratio', limit: 1.6 }, '>= 1.6: no'],
  ['lower', { of: 'ours', limit: 2 }, '<= 2 ms: no'],
  ['lower', { of: 'ours', limit: 4 }, '<= 4 ms: yes'],
] as const)('formatBound() of %p and %p is %p', (better, bound, text) => {
  expect(formatBound({ better, bound, unit: 'ms' }, { ours: 3, ratio: 1.5 })).toBe(text);
});
