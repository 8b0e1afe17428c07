import { describe, expect, test } from '@jest/globals';

import { inTurn, measureRow } from './measure.ts';
import type { BenchRow, RowContext } from './row.ts';

const context: RowContext = {
  directory: '/nowhere',
  sampleSeconds: 1,
  dataBytes: 4096,
  printCommand: () => undefined,
};

function rowOf(open: BenchRow['open']): BenchRow {
  return {
    name: 'what/load/against',
    question: 'nothing',
    unit: 'IOPS',
    better: 'higher',
    isQuick: true,
    programs: [],
    open,
  };
}

describe('measureRow()', () => {
  test('gives the medians of both sides, their ratio and all samples', async () => {
    const ours = [10, 30, 20, 1000, 5];
    const row = rowOf(async () => ({
      sample: async (index) => ({ ours: ours[index]!, peer: 40 }),
      close: async () => undefined,
    }));
    const result = await measureRow(row, context, 5);
    expect(result).toMatchObject({ name: row.name, unit: 'IOPS', ours: 20, peer: 40, ratio: 0.5 });
    expect(result.samples.map((sample) => sample.ours)).toEqual(ours);
  });

  test('closes the row when a sample fails', async () => {
    let isClosed = false;
    const row = rowOf(async () => ({
      sample: async () => {
        throw new Error('the load ended early');
      },
      close: async () => {
        isClosed = true;
      },
    }));
    await expect(measureRow(row, context, 5)).rejects.toThrow('the load ended early');
    expect(isClosed).toBe(true);
  });
});

describe('inTurn()', () => {
  test('lets the sides take turns at being measured first', async () => {
    const order: string[] = [];
    const side = (name: string, figure: number) => async () => {
      order.push(name);
      return figure;
    };
    for (const index of [0, 1]) {
      const sample = await inTurn(index, side('ours', 1), side('peer', 2));
      expect(sample).toEqual({ ours: 1, peer: 2 });
    }
    expect(order).toEqual(['ours', 'peer', 'peer', 'ours']);
  });
});
