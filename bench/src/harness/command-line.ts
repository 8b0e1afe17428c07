/** The options of `npm run bench`. */
import { Command, InvalidArgumentError, Option } from 'commander';

import { quickSamples, samplesMin } from './measure.ts';

/** What the command line asks for. */
export interface BenchOptions {
  /** Names of rows; undefined means all. */
  readonly only?: readonly string[];
  readonly quick: boolean;
  readonly list: boolean;
  /** File for the results. */
  readonly json?: string;
  /** File for the results as Markdown. */
  readonly markdown?: string;
  /** Samples of each row; undefined means as many as the kind of run takes. */
  readonly samples?: number;
}

/** How many samples a run takes. */
export function sampleCountOf({ quick, samples }: Pick<BenchOptions, 'quick' | 'samples'>): number {
  return samples ?? (quick ? quickSamples : samplesMin);
}

/** Reads the options; prints help or what is wrong, and ends the process, as commander does. */
export function parseCommandLine(
  args: readonly string[],
  rowNames: readonly string[],
): BenchOptions {
  return createCommand(rowNames)
    .parse([...args], { from: 'user' })
    .opts<BenchOptions>();
}

/** The command with its options. */
export function createCommand(rowNames: readonly string[]): Command {
  return new Command('npm run bench --')
    .description('Measures the storage daemon against other block servers, side by side.')
    .addOption(
      new Option(
        '--only <name...>',
        'measure these rows only, or those that begin so; --list shows the names',
      ).argParser((name: string, before: readonly string[] | undefined) => {
        const found = rowNames.filter((each) => each === name || each.startsWith(`${name}/`));
        if (found.length === 0) {
          throw new InvalidArgumentError(`Allowed are ${rowNames.join(', ')}.`);
        }
        return [...new Set([...(before ?? []), ...found])];
      }),
    )
    .option('--quick', 'the most important rows with short samples, under 5 minutes', false)
    .option('--list', 'list the rows and end', false)
    .option('--json <file>', 'write the results to this file')
    .option(
      '--markdown <file>',
      'write the results as the tables of docs/benchmarks.md into this file, between its marks if it has them',
    )
    .option(
      '--samples <count>',
      `samples of each row (default: ${samplesMin}, in a quick run ${quickSamples})`,
      parseSamples,
    );
}

function parseSamples(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < samplesMin || count > 100) {
    throw new InvalidArgumentError(`It must be a whole number from ${samplesMin} to 100.`);
  }
  return count;
}
