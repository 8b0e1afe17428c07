import { describe, expect, test } from '@jest/globals';

import { writeResults, type MarkdownInput } from './markdown.ts';
import { summarize } from './measure.ts';

const samples = [{ ours: 300, peer: 150 }];
const input: MarkdownInput = {
  arguments: ['--quick'],
  date: new Date('2026-11-25T10:00:00Z'),
  results: [
    summarize({ name: 'nbd/read/a', unit: 'IOPS' }, samples),
    summarize({ name: 'nbd/read/b', unit: 'IOPS' }, samples),
    summarize({ name: 'store/read/c', unit: 'IOPS' }, samples),
  ],
  skipped: [{ name: 'nbd/read/d', reason: 'needs d' }],
  rows: [],
  commandLines: ['fio --name=load'],
};

describe('writeResults()', () => {
  const fresh = writeResults('', input);

  test('says what was run where, and with which command lines', () => {
    expect(fresh).toContain('2026-11-25');
    expect(fresh).toContain('npm run bench -- --quick');
    expect(fresh).toContain('fio --name=load');
  });

  test('shows exports as one table of loads and peers', () => {
    expect(fresh).toMatch(/\| load \| ours \| unit \| +a \| +b \|/);
    expect(fresh).toMatch(/\| read \|\s+300 \| IOPS \| 2.00 \(150\) \| 2.00 \(150\) \|/);
    expect(fresh).not.toContain('nbd/read/a');
  });

  test('shows other rows, and those that were left out, with their names', () => {
    expect(fresh).toContain('store/read/c');
    expect(fresh).toContain('needs d');
  });

  test('replaces what stands between the marks, and leaves the rest', () => {
    const document = `# Title\n\n${fresh}\nThe end.\n`;
    const again = writeResults(document, { ...input, arguments: ['--list'] });
    expect(again).toMatch(/^# Title\n/);
    expect(again).toMatch(/\nThe end\.\n$/);
    expect(again).not.toContain('--quick');
    expect(again).toContain('--list');
  });
});
