/** The load of most rows: fio, on a core of its own, its result read from its JSON. */
import { spawn } from 'node:child_process';

import { z } from 'zod';

import { loadCore, pinned } from '../servers/server-process.ts';

/** What fio does to a device or export. */
export interface FioLoad {
  readonly rw: 'read' | 'write' | 'randread' | 'randwrite';
  readonly blockBytes: number;
  readonly queueDepth: number;
  /** Connections; each has the whole queue depth. */
  readonly jobs: number;
  /** Writes between two flushes; undefined means none. */
  readonly writesPerFlush?: number;
}

/** Where to, and for how long. */
export interface FioTarget {
  /** An NBD URI, or the path of a file that io_uring opens with O_DIRECT. */
  readonly uri?: string;
  readonly file?: string;
  readonly sizeBytes: number;
  /** Undefined: the whole size once. */
  readonly seconds?: number;
  /** False: figures count from the first request on. */
  readonly hasRamp?: boolean;
  /** Where fio logs its rate over time: the beginning of a path. */
  readonly rateLog?: string;
}

/** What one run of fio measured. */
export interface FioResult {
  readonly iops: number;
  /** In all of the time that counts. */
  readonly requests: number;
  readonly mebibytesPerSecond: number;
  /** Milliseconds below which 99.9 % of completions came. */
  readonly p999Ms: number;
}

/** Time before figures count: connections are made, caches and code are warm. */
const rampMs = 300;
/** Time over which one entry of the log of rates is an average. */
const rateLogMs = 50;
/** fio that is this much longer under way than it was asked to be will not end. */
const graceMs = 60_000;

const directionSchema = z.object({
  iops: z.number(),
  total_ios: z.number(),
  bw_bytes: z.number(),
  clat_ns: z.object({ percentile: z.record(z.string(), z.number()).optional() }),
});
const outputSchema = z.object({
  jobs: z
    .array(z.object({ error: z.number(), read: directionSchema, write: directionSchema }))
    .min(1),
});

/** fio's arguments for a load. */
export function fioArguments(load: FioLoad, target: FioTarget): readonly string[] {
  const engine =
    target.uri === undefined
      ? ['--ioengine=io_uring', `--filename=${target.file}`, '--direct=1']
      : ['--ioengine=nbd', `--uri=${target.uri}`];
  const duration =
    target.seconds === undefined
      ? []
      : ['--time_based', `--runtime=${target.seconds * 1000}ms`, ...rampArguments(target)];
  return [
    '--name=load',
    '--thread',
    '--output-format=json',
    '--group_reporting',
    ...engine,
    `--rw=${load.rw}`,
    `--bs=${load.blockBytes}`,
    `--iodepth=${load.queueDepth}`,
    `--numjobs=${load.jobs}`,
    `--size=${target.sizeBytes}`,
    // Random offsets need no map of those that were used, and buffers no new content each time.
    '--norandommap',
    '--randrepeat=0',
    '--refill_buffers=0',
    '--scramble_buffers=0',
    ...(load.writesPerFlush === undefined ? [] : [`--fsync=${load.writesPerFlush}`]),
    ...(target.rateLog === undefined
      ? []
      : [
          `--write_iops_log=${target.rateLog}`,
          `--log_avg_msec=${rateLogMs}`,
          '--log_unix_epoch=1',
        ]),
    ...duration,
  ];
}

function rampArguments({ hasRamp = true }: FioTarget): readonly string[] {
  return hasRamp ? [`--ramp_time=${rampMs}ms`] : [];
}

/** Runs fio to its end. */
export async function runFio(
  load: FioLoad,
  target: FioTarget,
  printCommand: (commandLine: string) => void,
): Promise<FioResult> {
  const line = pinned(loadCore, ['fio', ...fioArguments(load, target)]);
  printCommand(line.join(' '));
  const timeoutMs = (target.seconds ?? 0) * 1000 + graceMs;
  const { code, stdout, stderr } = await runProgram(line, timeoutMs);
  if (code !== 0) throw new Error(`Running ${line.join(' ')} failed: ${stderr || stdout}`);
  return parseFioOutput(stdout);
}

/** Reads what fio printed; something may stand before the JSON. */
export function parseFioOutput(text: string): FioResult {
  const { jobs } = outputSchema.parse(JSON.parse(text.slice(text.indexOf('{'))));
  const job = jobs[0]!;
  if (job.error !== 0) throw new Error(`Reading fio's output failed: it met error ${job.error}`);
  const moved = job.read.iops > 0 ? job.read : job.write;
  const { iops, total_ios: requests, bw_bytes: bytesPerSecond, clat_ns } = moved;
  return {
    iops,
    requests,
    mebibytesPerSecond: bytesPerSecond / 2 ** 20,
    p999Ms: (clat_ns.percentile?.['99.900000'] ?? 0) / 1e6,
  };
}

/** The average rate between two moments (milliseconds since 1970), from the log that a run left. */
export function meanIops(log: string, fromMs: number, untilMs: number): number {
  const rates = log
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split(',').map(Number))
    // An entry's time is the end of what it is the average of.
    .filter(([endMs]) => endMs! > fromMs && endMs! - rateLogMs <= untilMs)
    .map(([, rate]) => rate!);
  if (rates.length === 0) throw new Error(`Reading fio's log failed: nothing from ${fromMs}`);
  return rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
}

function runProgram(
  line: readonly string[],
  timeoutMs: number,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(line[0]!, line.slice(1), {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (bytes: Buffer) => stdout.push(bytes));
    child.stderr.on('data', (bytes: Buffer) => stderr.push(bytes));
    child.once('error', reject);
    child.once('close', (code) => {
      const [out, err] = [stdout, stderr].map((parts) => Buffer.concat(parts).toString());
      resolve({ code, stdout: out!, stderr: err! });
    });
  });
}
