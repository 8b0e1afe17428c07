import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import type { Filesystem } from '@varve/contract/filesystem';

import { TestControl } from '../../testing/test-control.ts';

const blank: Filesystem = { state: 'blank' };
const formatting: Filesystem = { state: 'formatting', type: 'ext4' };
const ready: Filesystem = { state: 'ready', type: 'ext4' };
const otherFormatting: Filesystem = { state: 'formatting', type: 'xfs' };
const otherReady: Filesystem = { state: 'ready', type: 'xfs' };

let control: TestControl;

beforeEach(async () => {
  control = new TestControl();
  await control.createPool('pool-1');
  await control.createVolume('a');
});

afterEach(async () => {
  await control.end();
});

function put(body: Filesystem): Promise<Filesystem> {
  return control.operations.putFilesystem({ id: 'a', body });
}

describe('putFilesystem', () => {
  test.each<[string, Filesystem[], Filesystem, boolean]>([
    ['blank stays blank', [], blank, true],
    ['blank to formatting', [], formatting, true],
    ['blank to ready', [], ready, false],
    ['formatting again', [formatting], formatting, true],
    ['formatting with another type', [formatting], otherFormatting, false],
    ['formatting to ready', [formatting], ready, true],
    ['formatting to ready with another type', [formatting], otherReady, false],
    ['formatting back to blank', [formatting], blank, false],
    ['ready again', [formatting, ready], ready, true],
    ['ready to formatting', [formatting, ready], formatting, false],
    ['ready to blank', [formatting, ready], blank, false],
    ['ready with another type', [formatting, ready], otherReady, false],
  ])('%s', async (_, before, body, isAllowed) => {
    for (const each of before) await put(each);
    if (isAllowed) {
      expect(await put(body)).toEqual(body);
      expect(await control.operations.getFilesystem({ id: 'a' })).toEqual(body);
      return;
    }
    await expect(put(body)).rejects.toMatchObject({ kind: 'failed-precondition' });
    const after = await control.operations.getFilesystem({ id: 'a' });
    expect(after).toEqual(before.at(-1) ?? blank);
  });

  test('never lets a volume with data be formatted', async () => {
    await control.write('a');
    await expect(put(formatting)).rejects.toMatchObject({
      kind: 'failed-precondition',
      blocker: 'data',
      message:
        'Recording file system state "formatting" of volume "a" failed: 4096 bytes are written to it, ' +
        'and a volume with data is never formatted',
    });
  });

  test('lets mkfs run again in the middle, when data is there', async () => {
    await put(formatting);
    await control.write('a');
    expect(await put(formatting)).toEqual(formatting);
  });

  test('keeps labels and limits', async () => {
    const change = { labels: { app: 'db' }, limits: { readIops: 3 } };
    await control.operations.patchVolume({ id: 'a', body: change });
    await put(formatting);
    expect(await control.operations.getVolume({ id: 'a' })).toMatchObject(change);
  });

  test('refuses an unknown volume', async () => {
    const unknown = control.operations.putFilesystem({ id: 'x', body: formatting });
    await expect(unknown).rejects.toMatchObject({ kind: 'not-found' });
    await expect(control.operations.getFilesystem({ id: 'x' })).rejects.toMatchObject({
      kind: 'not-found',
    });
  });
});
