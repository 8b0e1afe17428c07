/** `npm start`: the playground's command line. */
import { styleText } from 'node:util';
import { isProblemError } from '@varve/contract/problem';
import { Command } from 'commander';
import { playDemo } from './demo/demo.ts';
import { Playground } from './playground/playground.ts';
import { StartError } from './playground/start-error.ts';
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

/** Resolves, and aborts, at the first signal. A second one ends the process at once: its programs end with it. */
async function untilSignal(ending: AbortController): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => {
        ending.abort();
        resolve();
        process.once(signal, () => process.exit(130));
      });
    }
  });
}

/** A playground whose page is not whole is a playground still: kubectl shows what is missing. */
async function providePage(playground: Playground, ending: AbortSignal): Promise<void> {
  try {
    await playground.providePage('default');
  } catch (error) {
    if (ending.aborted) return;
    tell(`The objects of the page are not all ready: ${(error as Error).message}`);
  }
  const volumes = await playground.reachableVolumes('default');
  tell(formatWelcome(playground.folder, volumes));
}

async function run(options: Options): Promise<number> {
  const ending = new AbortController();
  const signal = untilSignal(ending);
  const folder = openFolder(options);
  tell('Starting API server, storage daemon and operator ...');
  const started = Playground.start(folder, tell);
  const playground = await Promise.race([started, signal.then(() => undefined)]);
  // What runs already ends with this process, as when it is killed.
  if (playground === undefined) process.exit(130);
  try {
    if (options.demo === true) {
      const hasHeld = await Promise.race([playDemo(playground, tell), signal.then(() => false)]);
      return hasHeld ? 0 : 1;
    }
    await Promise.race([providePage(playground, ending.signal), signal]);
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
    error instanceof StateFolderError ||
    error instanceof StartError ||
    (isProblemError(error) && error.kind !== 'internal');
  const text = isExpected ? error.message : String(error instanceof Error ? error.stack : error);
  console.error(styleText('red', text, { stream: process.stderr }));
  process.exitCode = 1;
}
