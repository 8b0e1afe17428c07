/**
 * Runs tests one after the other on one cluster. A test that fails is explained at once, with the ends of all
 * logs, and the next one starts from scratch.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SeededRandom } from '@varve/storage-daemon/testing/seeded-random';
import type { Cluster } from '../clusters/cluster.ts';
import { messageOf } from '../process/wait-until.ts';
import { Kubectl } from '../product/kubectl.ts';
import { Site } from '../product/site.ts';
import type { EndToEndTest, Outcome } from './end-to-end-test.ts';

/** What all tests on a cluster share. */
export interface RunOptions {
  readonly cluster: Cluster;
  readonly kubectlBinary: string;
  readonly directory: string;
  readonly seed: number;
  /** Programs that are there, in PATH or among the tools. */
  readonly programs: ReadonlySet<string>;
  /** Paths of the tools that were built. */
  readonly tools: ReadonlyMap<string, string>;
  readonly print: (line: string) => void;
}

/** Runs the tests in order. */
export async function runTests(
  tests: readonly EndToEndTest[],
  options: RunOptions,
): Promise<readonly Outcome[]> {
  const operatorKubeconfig = await options.cluster.prepareOperatorIdentity();
  const outcomes: Outcome[] = [];
  for (const test of tests.filter((each) => each.clusters.includes(options.cluster.kind))) {
    const outcome = await runTest(test, operatorKubeconfig, options);
    outcomes.push(outcome);
    const elapsed = `${(outcome.elapsedMs / 1000).toFixed(1)} s`;
    const why = outcome.state === 'skipped' ? `: ${outcome.reason}` : ` in ${elapsed}`;
    options.print(`[${options.cluster.kind}] ${test.name}: ${outcome.state}${why}`);
  }
  return outcomes;
}

async function runTest(
  test: EndToEndTest,
  operatorKubeconfig: string,
  options: RunOptions,
): Promise<Outcome> {
  const cluster = options.cluster.kind;
  const missing = test.programs.filter((program) => !options.programs.has(program));
  if (missing.length > 0) {
    const reason = `${missing.join(', ')} not installed`;
    return { test: test.name, cluster, state: 'skipped', reason, elapsedMs: 0 };
  }
  options.print(`[${cluster}] ${test.name}: ${test.summary}`);
  const startMs = performance.now();
  const finish = (state: Outcome['state'], reason?: string): Outcome => ({
    test: test.name,
    cluster,
    state,
    elapsedMs: performance.now() - startMs,
    ...(reason === undefined ? {} : { reason }),
  });
  let site: Site | undefined;
  try {
    site = await Site.open(siteOptions(test, operatorKubeconfig, options));
    await withinTime(test, site);
    return finish('passed');
  } catch (error) {
    const explanation = site === undefined ? '' : await site.explain();
    options.print(`[${cluster}] ${test.name} failed: ${stackOf(error)}\n${explanation}`);
    await site?.destroy();
    return finish('failed', messageOf(error));
  }
}

async function withinTime(test: EndToEndTest, site: Site): Promise<void> {
  const finished = new AbortController();
  const runAndClose = async (): Promise<void> => {
    await test.run(site);
    await site.close();
  };
  const timeUp = async (): Promise<void> => {
    await sleep(test.timeoutMs, undefined, { signal: finished.signal });
    throw new Error(`It took more than ${test.timeoutMs / 1000} s`);
  };
  const work = runAndClose();
  const limit = timeUp();
  try {
    await Promise.race([work, limit]);
  } finally {
    finished.abort();
    // The loser's rejection is of no interest any more.
    work.catch(() => undefined);
    limit.catch(() => undefined);
  }
}

function siteOptions(
  test: EndToEndTest,
  operatorKubeconfig: string,
  options: RunOptions,
): Parameters<typeof Site.open>[0] {
  const directory = join(options.directory, test.name);
  return {
    cluster: options.cluster,
    operatorKubeconfig,
    kubectl: new Kubectl({
      binary: options.kubectlBinary,
      kubeconfig: options.cluster.kubeconfig,
      cacheDirectory: join(options.directory, 'kubectl-cache'),
      namespace: test.name,
    }),
    directory,
    poolBytes: test.poolBytes,
    tools: options.tools,
    random: new SeededRandom(options.seed),
    note: (line) => options.print(`[${options.cluster.kind}]   ${line}`),
  };
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
