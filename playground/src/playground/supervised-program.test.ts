import { existsSync, mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { SupervisedProgram } from './supervised-program.ts';

let folder: string;
let program: SupervisedProgram | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-program-'));
  // Ends by SIGTERM with a last word; records its process id at each start, once it can do that.
  writeFileSync(
    join(folder, 'main.mjs'),
    `import { appendFileSync } from 'node:fs';
     process.on('SIGTERM', () => { console.log('last word'); process.exit(0); });
     appendFileSync(${JSON.stringify(join(folder, 'starts'))}, process.pid + '\\n');
     setInterval(() => undefined, 1000);`,
  );
});

afterEach(async () => {
  await program?.stop();
  rmSync(folder, { recursive: true });
});

/** Waits until the program has recorded so many starts; returns their process ids. */
async function starts(count: number): Promise<number[]> {
  const watcher = watch(folder);
  try {
    for (;;) {
      const file = join(folder, 'starts');
      // Whole lines only: the file is there before its first line is.
      const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : [];
      if (lines.length >= count) return lines.map(Number);
      await once(watcher, 'change');
    }
  } finally {
    watcher.close();
  }
}

function create(ended: string[]): SupervisedProgram {
  return new SupervisedProgram({
    name: 'test',
    main: join(folder, 'main.mjs'),
    args: [],
    logFile: join(folder, 'log'),
    onUnexpectedEnd: (how) => ended.push(how),
  });
}

test('is started again when it ends by itself, and not when it is stopped', async () => {
  const ended: string[] = [];
  program = create(ended);
  program.start();
  const [first] = await starts(1);
  expect(program.pid).toBe(first);
  program.kill();
  const [, second] = await starts(2);
  expect(second).not.toBe(first);
  expect(ended).toEqual(['SIGKILL']);
  await program.stop();
  expect(program.pid).toBeUndefined();
  expect(readFileSync(join(folder, 'log'), 'utf8')).toBe('last word\n');
  expect(ended).toEqual(['SIGKILL']);
});

test('ends when whoever started it was killed', async () => {
  const starter = `
    import { SupervisedProgram } from ${JSON.stringify(new URL('./supervised-program.js', import.meta.url).href)};
    new SupervisedProgram({
      name: 'test', main: ${JSON.stringify(join(folder, 'main.mjs'))}, args: [],
      logFile: ${JSON.stringify(join(folder, 'log'))}, onUnexpectedEnd: () => undefined,
    }).start();`;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', starter], {
    stdio: 'ignore',
  });
  await starts(1);
  const watcher = watch(folder);
  parent.kill('SIGKILL');
  while (!readFileSync(join(folder, 'log'), 'utf8').includes('last word')) {
    await once(watcher, 'change');
  }
  watcher.close();
});
