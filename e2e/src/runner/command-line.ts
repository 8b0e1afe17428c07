/** The options of `npm run e2e`. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { clusterKinds, type ClusterKind } from '../clusters/cluster.ts';

/** What the command line asks for. */
export interface RunnerOptions {
  /** Names of tests; undefined means all. */
  readonly only?: readonly string[];
  readonly cluster?: ClusterKind;
  readonly seed: number;
  readonly keep: boolean;
  readonly list: boolean;
  readonly hold: boolean;
}

/** Any number does; a fixed one makes a run like the one before. */
const defaultSeed = 20261124;

const environmentHelp = `
Environment:
  VARVE_E2E_ASSETS   folder with csi-sanity, etcd, kube-apiserver, kube-controller-manager and kubectl, instead
                     of building them
  XDG_CACHE_HOME     what was built is kept in its folder varve/tools; default ~/.cache`;

/** Reads the options; prints help or what is wrong, and ends the process, as commander does. */
export function parseCommandLine(
  args: readonly string[],
  testNames: readonly string[],
  groups: Readonly<Record<string, readonly string[]>> = {},
): RunnerOptions {
  const allowed = [...testNames, ...Object.keys(groups)];
  return new Command('npm run e2e --')
    .description('Runs the end-to-end tests on the embedded and on the real Kubernetes API server.')
    .addOption(
      new Option('--only <name...>', 'run these tests only; --list shows the names').argParser(
        (name: string, before: readonly string[] | undefined) => {
          if (!allowed.includes(name)) {
            throw new InvalidArgumentError(`Allowed are ${allowed.join(', ')}.`);
          }
          return [...(before ?? []), ...(groups[name] ?? [name])];
        },
      ),
    )
    .addOption(
      new Option('--cluster <kind>', 'run on this kind only, default both').choices(clusterKinds),
    )
    .option('--seed <number>', 'seed of all random choices', parseSeed, defaultSeed)
    .option('--keep', 'keep logs and images, also when everything passed', false)
    .option('--list', 'list the tests and end', false)
    .option(
      '--hold',
      'run no test: start a cluster (default real), print its kubeconfig, wait',
      false,
    )
    .addHelpText('after', environmentHelp)
    .parse([...args], { from: 'user' })
    .opts<RunnerOptions>();
}

function parseSeed(text: string): number {
  const seed = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(seed) || seed < 0) {
    throw new InvalidArgumentError('It must be a whole number, 0 or more.');
  }
  return seed;
}
