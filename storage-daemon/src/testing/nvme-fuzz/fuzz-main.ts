/** `npm run fuzz`: rounds of hostile and broken hosts against the NVMe/TCP target, until so many PDUs were sent. */
import { parseArgs } from 'node:util';

import { runFuzzRound } from './fuzz-round.ts';

const usage = `Sends the NVMe/TCP target what hosts send, and what no host should.

  npm run fuzz -- [options]

  --pdus N        stop after so many PDUs (default 1000000)
  --seed S        the first round's seed (default: drawn)
  --rounds N      stop after so many rounds; 1 replays a seed
  --help          this text

Memory is measured after each tenth of the way: what grows without end is a leak. The exit code is 1 after a failure.`;

const { values } = parseArgs({
  options: {
    pdus: { type: 'string', default: '1000000' },
    seed: { type: 'string' },
    rounds: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

/** Growth of the live heap from the first tenth on that still is noise. */
const heapGrowthBytesMax = 32 * 1024 * 1024;
/** A round takes milliseconds; one that takes so long hangs or nearly so. */
const roundTimeMsMax = 10_000;

function naturalNumber(name: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  console.error(`Reading --${name} failed: "${text}" is not a natural number`);
  return process.exit(2);
}

/** The engine frees the bytes of buffers a little after it has found that nobody has them. */
async function liveHeapBytes(): Promise<number> {
  const { gc } = globalThis as { readonly gc?: () => void };
  gc?.();
  await new Promise((resolve) => setTimeout(resolve, 20));
  gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function run(): Promise<void> {
  const pdusMax = naturalNumber('pdus', values.pdus);
  const firstSeed =
    values.seed === undefined
      ? Math.floor(Math.random() * 2 ** 32)
      : naturalNumber('seed', values.seed);
  const roundsMax = values.rounds === undefined ? Infinity : naturalNumber('rounds', values.rounds);
  console.log(`first seed ${firstSeed}`);
  const startMs = performance.now();
  let pdus = 0;
  let connections = 0;
  let round = 0;
  let nextReport = pdusMax / 10;
  let firstHeapBytes: number | undefined;
  for (; pdus < pdusMax && round < roundsMax; round++) {
    const seed = firstSeed + round;
    const roundStartMs = performance.now();
    try {
      const result = await runFuzzRound(seed);
      pdus += result.pdus;
      connections += result.connections;
    } catch (error) {
      console.error(
        `seed ${seed} failed; replay it with: npm run fuzz -- --seed ${seed} --rounds 1`,
      );
      console.error(error);
      process.exit(1);
    }
    if (performance.now() - roundStartMs > roundTimeMsMax) {
      console.error(`seed ${seed} took ${Math.round(performance.now() - roundStartMs)} ms`);
      process.exit(1);
    }
    if (pdus < nextReport) continue;
    nextReport += pdusMax / 10;
    const heapBytes = await liveHeapBytes();
    firstHeapBytes ??= heapBytes;
    console.log(
      `${pdus} PDUs, ${round + 1} rounds, ${Math.round(heapBytes / 1024 / 1024)} MiB live`,
    );
    if ('gc' in globalThis && heapBytes - firstHeapBytes > heapGrowthBytesMax) {
      console.error('the live heap grows: something is kept for ever');
      process.exit(1);
    }
  }
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  console.log(
    `${pdus} PDUs over ${connections} connections in ${round} rounds, ${seconds} s: all well`,
  );
}

if (values.help) console.log(usage);
else await run();
