/**
 * What V8 says about a reactor at full load: the share of its time in JavaScript by a CPU profile, which checks the
 * row about time in user mode, and its pauses for garbage collection in a minute.
 */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { GroupContext, RowGroup, Sample } from '../harness/row.ts';
import { type OpenRow, singleRow } from '../harness/single-row.ts';
import { profileTimes, type ProfileWindow } from '../load/cpu-profile.ts';
import { type FioLoad, runFio } from '../load/fio.ts';
import { parsePauses } from '../load/gc-log.ts';
import { deepRandomLoads, fillLoad, type NamedLoad } from '../load/loads.ts';
import { startDaemonVolume } from '../servers/daemon-server.ts';

const programs = ['fio', 'taskset'];
/** Long enough that what runs is what V8 compiled last. */
const warmSeconds = 3;
const profileSeconds = 3;
/** Longer pauses are felt by clients. */
const pauseMsMax = 5;
const pauseSeconds = 60;
const pauseLoad: FioLoad = { rw: 'randwrite', blockBytes: 4096, queueDepth: 32, jobs: 1 };

/** A row for reads, one for writes, and one about pauses. */
export const reactorRows: readonly RowGroup[] = [
  ...deepRandomLoads.map((load) =>
    singleRow(
      {
        name: `reactor-javascript/${load.name}/reactor-time`,
        question: "JavaScript in a CPU profile of the reactor's thread, as a share of its time",
        unit: '%',
        better: 'lower',
        isQuick: false,
        programs,
        bound: { of: 'ratio', limit: 0.25 },
      },
      async (context) => openProfile(load, context),
    ),
  ),
  singleRow(
    {
      name: `gc-pause-max/randwrite-4k-qd32-c1/limit`,
      question: `longest pause for garbage collection in ${pauseSeconds} s at full load, of any thread`,
      unit: 'ms',
      better: 'lower',
      isQuick: false,
      programs,
      bound: { of: 'ours', limit: pauseMsMax },
    },
    async (context) => ({
      sample: () => longestPause(context),
      close: async () => undefined,
    }),
    // One run holds some hundred pauses, and the longest is what counts.
    { samplesMax: 1 },
  ),
];

/** Each sample is a daemon of its own: a profile is written when its thread ends. */
async function openProfile({ load }: NamedLoad, context: GroupContext): Promise<OpenRow> {
  return {
    sample: async (index) => {
      const directory = join(context.directory, `${index}`);
      mkdirSync(directory);
      const nodeFlags = ['--cpu-prof', `--cpu-prof-dir=${directory}`];
      const own = { ...context, directory };
      const server = await startDaemonVolume(own, { nodeFlags });
      const target = { uri: server.uri, sizeBytes: context.dataBytes };
      let window: ProfileWindow;
      try {
        await runFio(fillLoad, target, context.printCommand);
        const warm = { ...target, seconds: warmSeconds };
        await runFio(load, warm, context.printCommand);
        const from = monotonicMicroseconds();
        await runFio(load, { ...target, seconds: profileSeconds }, context.printCommand);
        window = { from, end: monotonicMicroseconds() };
      } finally {
        await server.close();
      }
      return shareOf(directory, window);
    },
    close: async () => undefined,
  };
}

/** Of the thread that worked most: the main thread's profile lies beside the reactor's. */
function shareOf(directory: string, window: ProfileWindow): Sample {
  const files = readdirSync(directory).filter((name) => name.endsWith('.cpuprofile'));
  const sums = files.map((name) => {
    const text = readFileSync(join(directory, name), 'utf8');
    const { javaScript, garbageCollection, native } = profileTimes(text, window);
    return { javaScript, all: javaScript + garbageCollection + native };
  });
  const reactor = sums.toSorted((a, b) => b.all - a.all)[0];
  if (!reactor || files.length < 2) {
    throw new Error(`Reading the reactor's profile failed: there are ${files.length} profiles`);
  }
  return { ours: (100 * reactor.javaScript) / reactor.all, peer: 100 };
}

async function longestPause(context: GroupContext): Promise<Sample> {
  let output = '';
  const server = await startDaemonVolume(context, {
    nodeFlags: ['--trace-gc'],
    onOutput: (text) => (output += text),
  });
  const target = { uri: server.uri, sizeBytes: context.dataBytes };
  try {
    await runFio(fillLoad, target, context.printCommand);
    output = '';
    await runFio(pauseLoad, { ...target, seconds: pauseSeconds }, context.printCommand);
  } finally {
    await server.close();
  }
  const pauses = parsePauses(output).map(({ ms }) => ms);
  return { ours: Math.max(0, ...pauses), peer: pauseMsMax };
}

/** The clock of profiles. */
function monotonicMicroseconds(): number {
  return Number(process.hrtime.bigint() / 1000n);
}
