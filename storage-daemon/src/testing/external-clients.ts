/** Programs of others that tests use as judges. They are installed by `.ci/run`, never assumed. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';

import { test } from '@jest/globals';

/** Which Debian package brings a program. */
const packages: Readonly<Record<string, string>> = {
  'qemu-img': 'qemu-utils',
  'qemu-io': 'qemu-utils',
  'qemu-nbd': 'qemu-utils',
  nbdinfo: 'libnbd-bin',
  nbdcopy: 'libnbd-bin',
  fio: 'fio',
};

/** What a program printed, and how it ended. */
export interface ClientResult {
  readonly code: number | null;
  readonly output: string;
}

/** A test that is left out, and says so by name, where a program is not installed. */
export function clientTest(
  name: string,
  programs: readonly string[],
  body: () => Promise<void>,
): void {
  const missing = programs.filter(
    (program) => spawnSync(program, ['--version']).error !== undefined,
  );
  const needs = missing.map((program) => `${program} from package ${packages[program] ?? '?'}`);
  const register = missing.length === 0 ? test : test.skip;
  register(missing.length === 0 ? name : `${name} (left out: needs ${needs.join(', ')})`, body);
}

/** Starts a program; the server answers it from this process's event loop. */
export function startClient(
  program: string,
  options: readonly string[],
  folder: string,
): { readonly child: ChildProcess; readonly finished: Promise<ClientResult> } {
  const child = spawn(program, options, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  const pieces: Buffer[] = [];
  child.stdout.on('data', (bytes: Buffer) => pieces.push(bytes));
  child.stderr.on('data', (bytes: Buffer) => pieces.push(bytes));
  const finished = new Promise<ClientResult>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, output: Buffer.concat(pieces).toString() }));
  });
  return { child, finished };
}
