/** Runs the chosen tests on each kind of cluster that can be started, and says which cannot. */
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { clusterKinds, type Cluster, type ClusterKind } from '../clusters/cluster.ts';
import { startEmbeddedCluster } from '../clusters/embedded-cluster.ts';
import { startRealCluster } from '../clusters/real-cluster.ts';
import { runCommand } from '../process/run-command.ts';
import { messageOf } from '../process/wait-until.ts';
import type { Tools } from '../tools/tool-builder.ts';
import type { EndToEndTest, Outcome } from './end-to-end-test.ts';
import { findPrograms } from './programs-in-path.ts';
import { runTests } from './run-tests.ts';

/** What to run, with what, and where. */
export interface RunClustersOptions {
  readonly tests: readonly EndToEndTest[];
  /** Undefined means all kinds. */
  readonly only: ClusterKind | undefined;
  readonly tools: Tools;
  readonly directory: string;
  readonly seed: number;
  readonly print: (line: string) => void;
}

/** Runs everything; the outcomes of all kinds. */
export async function runClusters(options: RunClustersOptions): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const kind of clusterKinds.filter((each) => (options.only ?? each) === each)) {
    outcomes.push(...(await runOnKind(kind, options)));
  }
  return outcomes;
}

/**
 * Starts a cluster for work by hand and keeps it until the signal. The operator is not started: its kubeconfig
 * is printed.
 */
export async function holdCluster(
  options: Omit<RunClustersOptions, 'tests' | 'seed'>,
  ended: AbortSignal,
): Promise<void> {
  const cluster = await startCluster(options.only ?? 'real', options.directory, options.tools);
  try {
    options.print(await describeServer(cluster, findKubectl(options.tools)));
    options.print(`export KUBECONFIG=${cluster.kubeconfig}`);
    options.print(`for the operator: KUBECONFIG=${await cluster.prepareOperatorIdentity()}`);
    options.print(`kubectl: ${findKubectl(options.tools)}`);
    options.print('Ctrl-C ends it.');
    if (!ended.aborted) await once(ended, 'abort');
  } finally {
    await cluster.stop();
  }
}

async function runOnKind(
  kind: ClusterKind,
  options: RunClustersOptions,
): Promise<readonly Outcome[]> {
  const { tools } = options;
  if (kind === 'real' && tools.state === 'missing') {
    options.print(`[real] left out: ${tools.reason}`);
    return allAs('skipped', tools.reason, kind, options);
  }
  const directory = join(options.directory, kind);
  mkdirSync(directory, { recursive: true });
  let cluster: Cluster;
  try {
    cluster = await startCluster(kind, directory, tools);
  } catch (error) {
    options.print(`[${kind}] starting the cluster failed: ${messageOf(error)}`);
    return allAs('failed', messageOf(error), kind, options);
  }
  const kubectlBinary = findKubectl(tools);
  try {
    options.print(`[${kind}] ${await describeServer(cluster, kubectlBinary)}`);
    return await runTests(options.tests, {
      cluster,
      kubectlBinary,
      directory,
      seed: options.seed,
      programs: new Set([
        ...findPrograms(options.tests.flatMap((test) => test.programs)),
        ...(tools.state === 'ready' ? tools.paths.keys() : []),
      ]),
      tools: tools.state === 'ready' ? tools.paths : new Map(),
      print: options.print,
    });
  } catch (error) {
    options.print(`[${kind}] using the cluster failed: ${messageOf(error)}\n${cluster.logTails()}`);
    return allAs('failed', messageOf(error), kind, options);
  } finally {
    await cluster.stop();
  }
}

async function startCluster(kind: ClusterKind, directory: string, tools: Tools): Promise<Cluster> {
  if (kind === 'embedded') return startEmbeddedCluster({ directory });
  if (tools.state === 'missing') throw new Error(tools.reason);
  return startRealCluster({ directory, tools: tools.paths });
}

/** Name and version, as the server tells kubectl. */
async function describeServer(cluster: Cluster, kubectl: string): Promise<string> {
  const args = ['--kubeconfig', cluster.kubeconfig, 'version', '-o', 'json'];
  const versions = JSON.parse(await runCommand(kubectl, args)) as {
    readonly clientVersion: { readonly gitVersion: string };
    readonly serverVersion: { readonly gitVersion: string };
  };
  const { clientVersion, serverVersion } = versions;
  return `${cluster.description}: ${serverVersion.gitVersion}; kubectl ${clientVersion.gitVersion}`;
}

/** The pinned one; where there is none, the machine's. */
function findKubectl(tools: Tools): string {
  const built = tools.state === 'ready' ? tools.paths.get('kubectl') : undefined;
  return built ?? 'kubectl';
}

function allAs(
  state: Outcome['state'],
  reason: string,
  cluster: ClusterKind,
  options: RunClustersOptions,
): readonly Outcome[] {
  return options.tests
    .filter((test) => test.clusters.includes(cluster))
    .map((test) => ({ test: test.name, cluster, state, reason, elapsedMs: 0 }));
}
