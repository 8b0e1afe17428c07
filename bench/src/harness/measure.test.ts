import { describe, expect, test } from '@jest/globals';

import { inTurn, measureGroup, pairInTurn } from './measure.ts';
import type { BenchRow, GroupContext, OpenGroup, RowGroup, Sample } from './row.ts';

const context: GroupContext = {
  directory: '/nowhere',
  sampleSeconds: 1,
  dataBytes: 4096,
  printCommand: () => undefined,
};

function rowOf(name: string): BenchRow {
  return {
    name,
    question: 'nothing',
    unit: 'IOPS',
    better: 'higher',
    isQuick: true,
    programs: [],
  };
}

const rows = [rowOf('what/load/a'), rowOf('what/load/b')];

function groupOf(sample: OpenGroup['sample'], close = async () => undefined): RowGroup {
  return { name: 'group', rows, open: async () => ({ sample, close }) };
}

const steady = new Map<string, Sample>(rows.map(({ name }) => [name, { ours: 1, peer: 2 }]));

describe('measureGroup()', () => {
  test('gives the medians of both sides, their ratio and all samples of each row', async () => {
    const ours = [10, 30, 20, 1000, 5];
    const group = groupOf(async (index) =>
      new Map(steady).set('what/load/a', { ours: ours[index]!, peer: 40 }),
    );
    const [first, second] = await measureGroup(group, rows, context, 5);
    expect(first).toMatchObject({ name: 'what/load/a', ours: 20, peer: 40, ratio: 0.5 });
    expect(first!.samples.map((sample) => sample.ours)).toEqual(ours);
    expect(second).toMatchObject({ name: 'what/load/b', unit: 'IOPS', ratio: 0.5 });
  });

  test('gives no row that was not asked for', async () => {
    const group = groupOf(async () => steady);
    const results = await measureGroup(group, rows.slice(1), context, 5);
    expect(results.map(({ name }) => name)).toEqual(['what/load/b']);
  });

  test('takes no more samples than the group says', async () => {
    const group = { ...groupOf(async () => steady), samplesMax: 2 };
    const [first] = await measureGroup(group, rows, context, 5);
    expect(first!.samples).toHaveLength(2);
  });

  test('closes the group when a sample fails', async () => {
    let isClosed = false;
    const group = groupOf(
      async () => {
        throw new Error('the load ended early');
      },
      async () => {
        isClosed = true;
      },
    );
    await expect(measureGroup(group, rows, context, 5)).rejects.toThrow('the load ended early');
    expect(isClosed).toBe(true);
  });
});

describe('inTurn()', () => {
  test('lets the sides take turns at being measured first', async () => {
    const order: string[] = [];
    const side = (name: string) => async () => {
      order.push(name);
      return name;
    };
    for (const index of [0, 1, 2]) {
      expect(await inTurn(index, [side('a'), side('b'), side('c')])).toEqual(['a', 'b', 'c']);
    }
    expect(order.join('')).toBe('abcbcacab');
  });

  test('of two sides gives a sample', async () => {
    const figure = (value: number) => async () => value;
    expect(await pairInTurn(1, figure(1), figure(2))).toEqual({ ours: 1, peer: 2 });
  });
});
