/** The command itself: what it prints, and how it ends. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from '@jest/globals';

let directory: string;
let child: ChildProcess | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'varve-main-'));
});

afterEach(() => {
  child?.kill('SIGKILL');
  // The programs of a killed playground may write a last line yet.
  rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
});

function start(...args: readonly string[]): { readonly output: () => string } {
  let output = '';
  const main = new URL('./main.js', import.meta.url).pathname;
  child = spawn(process.execPath, ['--enable-source-maps', main, ...args], { stdio: 'pipe' });
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  }
  return { output: () => output };
}

async function untilLine(words: string): Promise<void> {
  for await (const line of createInterface({ input: child!.stdout! })) {
    if (line.includes(words)) return;
  }
}

test.each([
  [['--bogus'], "error: unknown option '--bogus'\n"],
  [['extra'], 'error: too many arguments. Expected 0 arguments but got 1.\n'],
  [['--state', ''], 'Cannot use "" as the state folder: name a folder.\n'],
])('%j is refused in one sentence', async (args, sentence) => {
  const { output } = start(...args);
  const [code] = (await once(child!, 'close')) as [number];
  expect([code, output()]).toEqual([1, sentence]);
});

test('a signal ends a start that waits for something', async () => {
  // The daemon cannot listen here, and is started again and again.
  mkdirSync(join(directory, 'nbd.sock'));
  const { output } = start('--state', directory);
  await untilLine('Starting');
  child!.kill('SIGTERM');
  const [code] = (await once(child!, 'close')) as [number];
  expect(code).toBe(130);
  expect(output()).not.toContain('    at ');
});
