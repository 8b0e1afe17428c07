import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { StateFolder } from './state-folder.ts';

test('a state file is replaced as a whole, is for root alone, and goes without a trace', async () => {
  const parent = mkdtempSync(join(tmpdir(), 'varve-state-'));
  try {
    const path = join(parent, 'state');
    const folder = new StateFolder(path);
    await folder.remove('a.json');
    expect(await folder.read('a.json')).toBeUndefined();
    await folder.write('a.json', 'first');
    await folder.write('a.json', 'second');
    // What a killed plugin left of a write that never finished.
    writeFileSync(join(path, 'a.json.partial'), 'thi');
    expect(await folder.read('a.json')).toBe('second');
    await folder.write('a.json', 'third');
    expect(readdirSync(path)).toEqual(['a.json']);
    expect(statSync(join(path, 'a.json')).mode & 0o777).toBe(0o600);
    await folder.remove('a.json');
    expect(readdirSync(path)).toEqual([]);
  } finally {
    rmSync(parent, { recursive: true });
  }
});
