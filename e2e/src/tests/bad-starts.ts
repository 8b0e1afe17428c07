/** Programs started with something wrong end at once, with one sentence that says what. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tryCommand } from '../process/run-command.ts';
import { programs } from '../product/programs.ts';
import type { Site } from '../product/site.ts';
import type { EndToEndTest } from '../runner/end-to-end-test.ts';

const gibibyte = 2 ** 30;
/** A program that is still there after this long has not noticed. */
const endTimeoutMs = 30_000;
/** A sentence, or the few findings of an inspection; never a stack trace. */
const linesMax = 5;

interface BadStart {
  readonly what: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly says: string;
}

/** Wrong flags, addresses, folders and files of daemon, operator and inspection. */
export const badStartsTest: EndToEndTest = {
  name: 'bad-starts',
  summary: 'programs that are started wrongly end with one sentence that says what is wrong',
  clusters: ['embedded', 'real'],
  programs: [],
  poolBytes: gibibyte,
  timeoutMs: 240_000,
  run: async (site) => {
    const { directory, daemon } = site;
    const starts = [
      ...badDaemonStarts(directory),
      ...badInspections(directory, daemon.poolFile),
      ...badOperatorStarts,
    ];
    for (const start of starts) await expectRefused(site, start);
    // None of it has disturbed the daemon that serves.
    await site.daemon.pool();
  },
};

function badDaemonStarts(directory: string): readonly BadStart[] {
  const program = programs.storageDaemon;
  const stateFolder = `--state-folder=${join(directory, 'other-state')}`;
  return [
    {
      what: 'an unknown flag',
      program,
      args: ['--replicas=3'],
      says: '--replicas',
    },
    {
      what: 'a second daemon on the same state folder',
      program,
      args: [`--state-folder=${join(directory, 'daemon-state')}`],
      says: 'daemon-state',
    },
    {
      what: 'REST without TLS beyond this machine',
      program,
      args: [stateFolder, '--listen=http://192.0.2.1:8080'],
      says: 'loopback',
    },
    {
      what: 'NBD beyond this machine',
      program,
      args: [stateFolder, '--nbd-listen=tcp://192.0.2.1:10809'],
      says: 'loopback',
    },
    {
      what: 'https without a certificate',
      program,
      args: [stateFolder, '--listen=https://127.0.0.1:0'],
      says: '--tls-certificate-file',
    },
    {
      what: 'a token file that does not exist',
      program,
      args: [stateFolder, '--listen=http://127.0.0.1:0', '--token-file=/nowhere/token'],
      says: '/nowhere/token',
    },
  ];
}

function badInspections(directory: string, servedFile: string): readonly BadStart[] {
  const program = programs.storageDaemon;
  const garbage = join(directory, 'garbage.img');
  writeFileSync(garbage, Buffer.alloc(16 * 1024 * 1024, 0xa5));
  return [
    {
      what: 'an inspection of a pool that is served',
      program,
      args: ['inspect', servedFile],
      says: servedFile,
    },
    {
      what: 'an inspection of something else',
      program,
      args: ['inspect', garbage],
      says: 'superblock',
    },
    {
      what: 'an inspection of nothing',
      program,
      args: ['inspect', '/nowhere/pool.img'],
      says: '/nowhere/pool.img',
    },
  ];
}

const badOperatorStarts: readonly BadStart[] = [
  {
    what: 'an operator with a wrong number',
    program: programs.operator,
    args: ['--workers=none'],
    says: '--workers',
  },
  {
    what: 'an operator without a kubeconfig',
    program: programs.operator,
    args: ['--kubeconfig=/nowhere/kubeconfig'],
    says: '/nowhere/kubeconfig',
  },
];

async function expectRefused(site: Site, start: BadStart): Promise<void> {
  const result = await tryCommand(process.execPath, [start.program, ...start.args], {
    timeoutMs: endTimeoutMs,
  });
  const said = `${result.stdout}${result.stderr}`.trim();
  assert.notEqual(result.code, 0, `${start.what} is refused: ${said}`);
  assert.notEqual(result.code, 124, `${start.what} ends: ${said}`);
  assert.ok(said.includes(start.says), `${start.what}: says "${start.says}": ${said}`);
  assert.ok(said.split('\n').length <= linesMax, `${start.what}: is short: ${said}`);
  assert.doesNotMatch(said, /^\s+at /m, `${start.what}: no stack trace: ${said}`);
  site.note(`${start.what}: ${said}`);
}
