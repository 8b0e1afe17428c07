import { describe, expect, test } from '@jest/globals';
import type { Filesystem } from '@varve/contract/filesystem';
import type { ProbeResult } from '../system/node-system.ts';
import { decideFormat, type FormatDecision } from './decide-format.ts';

const blank: Filesystem = { state: 'blank' };
const formatting: Filesystem = { state: 'formatting', type: 'ext4' };
const ready: Filesystem = { state: 'ready', type: 'ext4' };
const nothing: ProbeResult = { kind: 'nothing' };
const ext4: ProbeResult = { kind: 'filesystem', type: 'ext4' };
const xfs: ProbeResult = { kind: 'filesystem', type: 'xfs' };
const table: ProbeResult = { kind: 'other', what: 'a gpt partition table' };

describe('decideFormat()', () => {
  test.each<[string, Filesystem, ProbeResult, FormatDecision['kind']]>([
    ['formats what both witnesses call empty', blank, nothing, 'format'],
    ['uses an image that somebody wrote', blank, ext4, 'use'],
    ['never formats data that it did not expect', blank, xfs, 'refuse'],
    ['never formats a partition table', blank, table, 'refuse'],
    ['formats again after a crash before the first block', formatting, nothing, 'format'],
    ['formats again after a crash after the last block', formatting, ext4, 'format'],
    ['formats again over a torn signature', formatting, table, 'format'],
    ['uses what it made', ready, ext4, 'use'],
    ['never formats a volume that had data and shows none', ready, nothing, 'refuse'],
    ['refuses another file system than recorded', ready, xfs, 'refuse'],
    ['refuses a partition table where its file system was', ready, table, 'refuse'],
  ])('%s', (_, recorded, probe, kind) => {
    const world = { recorded, probe, wanted: 'ext4', isReadOnly: false } as const;
    expect(decideFormat(world).kind).toBe(kind);
  });

  test('refuses another type than the volume holds, and names both', () => {
    const decision = decideFormat({
      recorded: ready,
      probe: ext4,
      wanted: 'xfs',
      isReadOnly: false,
    });
    expect(decision).toMatchObject({ kind: 'refuse', why: expect.stringMatching(/ext4.*xfs/) });
  });

  test('formats nothing for readers', () => {
    const decision = decideFormat({
      recorded: blank,
      probe: nothing,
      wanted: 'ext4',
      isReadOnly: true,
    });
    expect(decision.kind).toBe('refuse');
  });
});
