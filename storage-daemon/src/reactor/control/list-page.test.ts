import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import type { ListArgument } from '../messages.ts';
import { TestControl } from '../../testing/test-control.ts';

const all: ListArgument = {
  limit: 100,
  after: undefined,
  labels: [],
  pool: undefined,
  volume: undefined,
  withSpace: false,
};

let control: TestControl;

beforeEach(async () => {
  control = new TestControl();
  await control.createPool('pool-1');
  await control.createPool('pool-2');
  for (const [index, id] of ['e', 'b', 'd', 'a', 'c'].entries()) {
    const pool = index % 2 === 0 ? 'pool-1' : 'pool-2';
    const labels = { even: String(index % 2 === 0), [`only-${id}`]: '' };
    await control.createVolume(id, { pool, labels });
  }
});

afterEach(async () => {
  await control.end();
});

async function list(query: Partial<ListArgument>): Promise<string> {
  const { items, next } = await control.operations.listVolumes({ ...all, ...query });
  return items.map(({ id }) => id).join('') + (next === undefined ? '' : `>${next}`);
}

describe('a list', () => {
  test.each<[string, Partial<ListArgument>, string]>([
    ['is in order of id over all pools', {}, 'abcde'],
    ['is cut at the limit', { limit: 2 }, 'ab>b'],
    ['goes on after an id', { limit: 2, after: 'b' }, 'cd>d'],
    ['ends without next', { limit: 2, after: 'd' }, 'e'],
    ['ends without next when the limit fits exactly', { limit: 5 }, 'abcde'],
    ['goes on after an id that is deleted meanwhile', { after: 'bb' }, 'cde'],
    ['is filtered by pool', { pool: 'pool-2' }, 'ab'],
    ['is filtered by label and value', { labels: [{ key: 'even', value: 'true' }] }, 'cde'],
    ['is filtered by label', { labels: [{ key: 'only-c', value: undefined }] }, 'c'],
    [
      'wants all labels',
      {
        labels: [
          { key: 'even', value: 'true' },
          { key: 'only-a', value: undefined },
        ],
      },
      '',
    ],
    [
      'pages what the filter leaves',
      { labels: [{ key: 'even', value: 'true' }], limit: 2 },
      'cd>d',
    ],
    [
      'does not mistake inherited names for labels',
      { labels: [{ key: 'toString', value: undefined }] },
      '',
    ],
  ])('%s', async (_, query, expected) => {
    expect(await list(query)).toBe(expected);
  });

  test('of snapshots is filtered by volume', async () => {
    for (const [id, volume] of Object.entries({ s: 'a', t: 'b', u: 'a' })) {
      await control.operations.putSnapshot({ id, body: { volume, labels: {} } });
    }
    const { items } = await control.operations.listSnapshots({ ...all, volume: 'a' });
    expect(items.map(({ id }) => id)).toEqual(['s', 'u']);
  });

  test('counts space when asked, and only then', async () => {
    const { items } = await control.operations.listVolumes(all);
    expect(items[0]).not.toHaveProperty('uniqueBytes');
    const counted = await control.operations.listVolumes({ ...all, withSpace: true });
    expect(counted.items[0]).toMatchObject({ uniqueBytes: 0, reclaimableBytes: 0 });
  });

  test('of an unknown pool is not found', async () => {
    await expect(list({ pool: 'pool-9' })).rejects.toMatchObject({ kind: 'not-found' });
  });
});
