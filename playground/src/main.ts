/** `npm start`: the playground's command line. */
import { styleText } from 'node:util';
import { isProblemError } from '@varve/contract/problem';
import { Command } from 'commander';
import { playDemo } from './demo/demo.ts';
import { Playground } from './playground/playground.ts';
import { StateFolder, StateFolderError } from './playground/state-folder.ts';
import { formatWelcome } from './playground/welcome.ts';

const stateDefault = '.varve/playground';
const demoStateDefault = '.varve/demo';

interface Options {
  readonly state?: string;
  readonly fresh?: boolean;
  readonly demo?: boolean;
}

const program = new Command('npm start --')
  .description(
    'Varve on one machine, without a cluster: an embedded Kubernetes API server, a storage daemon on a ' +
      'sparse file and the operator. kubectl works against it.',
  )
  .option(
    '--state <dir>',
    `where everything is kept (default: ${stateDefault}; with --demo ${demoStateDefault}, made anew)`,
  )
  .option('--fresh', 'delete what earlier playgrounds left in the state folder first')
  .option(
    '--demo',
    'play the snapshot page once, check every step, and end with 0 only if all held',
  )
  .allowExcessArguments(false)
  .helpOption('--help', 'show this text');

function tell(sentence: string): void {
  console.log(sentence);
}

function openFolder({ state, fresh, demo }: Options): StateFolder {
  const folder = StateFolder.open(state ?? (demo === true ? demoStateDefault : stateDefault));
  if (fresh === true || (demo === true && state === undefined)) folder.clear();
  return folder;
}

/** Resolves at the first signal. A second one ends the process at once: its programs end with it. */
async function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => {
        resolve();
        process.once(signal, () => process.exit(130));
      });
    }
  });
}

async function run(options: Options): Promise<number> {
  const signal = untilSignal();
  const folder = openFolder(options);
  tell('Starting API server, storage daemon and operator ...');
  const playground = await Playground.start(folder, tell);
  try {
    if (options.demo === true) {
      const hasHeld = await Promise.race([playDemo(playground, tell), signal.then(() => false)]);
      return hasHeld ? 0 : 1;
    }
    await playground.providePage('default');
    console.log(formatWelcome(folder, await playground.reachableVolumes('default')));
    await signal;
    tell('Stopping ...');
    return 0;
  } finally {
    await playground.stop();
  }
}

try {
  process.exitCode = await run(program.parse().opts<Options>());
} catch (error) {
  const isExpected =
    error instanceof StateFolderError || (isProblemError(error) && error.kind !== 'internal');
  const text = isExpected ? error.message : String(error instanceof Error ? error.stack : error);
  console.error(styleText('red', text, { stream: process.stderr }));
  process.exitCode = 1;
}
