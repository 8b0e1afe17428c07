import { describe, expect, test } from '@jest/globals';
import type { Outcome } from './end-to-end-test.ts';
import { formatTable, formatTotals } from './report.ts';

const outcomes: Outcome[] = [
  { test: 'source-page', cluster: 'embedded', state: 'passed', elapsedMs: 8_049 },
  { test: 'source-page', cluster: 'real', state: 'failed', elapsedMs: 11_951, reason: 'no' },
  { test: 'playground-demo', cluster: 'embedded', state: 'skipped', elapsedMs: 0, reason: 'no' },
];

describe('formatTable()', () => {
  test('gives each test a line, in the order of the run, with a dash where it was not run', () => {
    expect(formatTable(outcomes).split('\n')).toEqual([
      'test             embedded  real    time',
      'source-page      passed    failed  8.0 s + 12.0 s',
      'playground-demo  skipped   -       - + -',
    ]);
  });
});

describe('formatTotals()', () => {
  test('counts each test once per cluster', () => {
    expect(formatTotals(outcomes)).toBe('1 passed, 1 failed, 1 skipped');
  });

  test('does not mention what was skipped when nothing was', () => {
    expect(formatTotals(outcomes.slice(0, 2))).toBe('1 passed, 1 failed');
    expect(formatTotals([])).toBe('0 passed, 0 failed');
  });
});
