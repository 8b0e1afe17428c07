/** fio's NBD engine on a volume, with its own checksums as judge: what it wrote it must read back. */
import { join } from 'node:path';
import { ManagedProcess } from '../process/managed-process.ts';
import { waitUntil } from '../process/wait-until.ts';

/** How one run of fio uses a volume. */
export interface FioOptions {
  readonly name: string;
  readonly uri: string;
  readonly directory: string;
  /** Where in the volume, in mebibytes. */
  readonly offsetMib: number;
  readonly sizeMib: number;
  /** Mebibytes written each second; undefined means as fast as it goes. */
  readonly rateMib?: number;
  /**
   * `write-and-verify` checks blocks while it writes and all of them at the end; `write` ends with a flush;
   * `verify` only reads what a `write` with the same arguments wrote.
   */
  readonly mode: 'write-and-verify' | 'write' | 'verify';
  /** The same seed writes the same blocks; another one writes others. */
  readonly seed: number;
}

/** Blocks written before some of them are read back and checked. */
const verifyBacklog = 64;

const modeArguments: Readonly<Record<FioOptions['mode'], readonly string[]>> = {
  'write-and-verify': [`--verify_backlog=${verifyBacklog}`, '--do_verify=1', '--end_fsync=1'],
  write: ['--do_verify=0', '--end_fsync=1'],
  verify: ['--verify_only'],
};

/** Starts fio; it ends with 0 only if everything that it read back was right. */
export function startFio(options: FioOptions): ManagedProcess {
  return new ManagedProcess({
    name: `fio ${options.name}`,
    command: 'fio',
    args: fioArguments(options),
    logFile: join(options.directory, `fio-${options.name}.log`),
    // fio leaves files about the state of verification in its working directory.
    cwd: options.directory,
  });
}

/** Runs fio to its end and demands that it found nothing wrong. */
export async function runFio(options: FioOptions, timeoutMs: number): Promise<void> {
  await expectFioPasses(startFio(options), timeoutMs);
}

/** Waits for a fio that was started, and demands that it found nothing wrong. */
export async function expectFioPasses(fio: ManagedProcess, timeoutMs: number): Promise<void> {
  const exit = await waitUntil(`${fio.name} to end`, () => fio.exit, {
    timeoutMs,
    explain: () => fio.logTail(),
  });
  if (exit.code !== 0) {
    throw new Error(`${fio.name} ended with ${JSON.stringify(exit)}\n${fio.logTail()}`);
  }
}

function fioArguments(options: FioOptions): readonly string[] {
  return [
    `--name=${options.name}`,
    '--ioengine=nbd',
    // One process to end, not a parent and a child.
    '--thread',
    `--uri=${options.uri}`,
    '--rw=randwrite',
    '--bsrange=4k-64k',
    '--iodepth=16',
    `--offset=${options.offsetMib}m`,
    `--size=${options.sizeMib}m`,
    `--randseed=${options.seed}`,
    '--verify=crc32c',
    '--verify_fatal=1',
    '--verify_state_save=0',
    ...(options.rateMib === undefined ? [] : [`--rate=${options.rateMib}m`]),
    ...modeArguments[options.mode],
  ];
}
