/** What a test is, and what it is judged by. */
import type { ClusterKind } from '../clusters/cluster.ts';
import type { Site } from '../product/site.ts';

/** One test: the same code for every kind of cluster. */
export interface EndToEndTest {
  /** In kebab case; what `--only` takes. */
  readonly name: string;
  /** One sentence: what holds when it passes. */
  readonly summary: string;
  /** The kinds of cluster it can run on. */
  readonly clusters: readonly ClusterKind[];
  /** Programs that it takes from PATH; without one of them it is skipped, and the report says so. */
  readonly programs: readonly string[];
  /** The size of the pool that it gets. The file is sparse. */
  readonly poolBytes: number;
  /** Far above what it takes: only a test that hangs meets it. */
  readonly timeoutMs: number;
  /** Throws when something does not hold. What it leaves in the cluster is deleted, and checked, afterwards. */
  readonly run: (site: Site) => Promise<void>;
}

/** What a test ran on: a kind of cluster, or virtual machines without any. */
export type Ground = ClusterKind | 'vm';

/** What became of a test on one ground. */
export interface Outcome {
  readonly test: string;
  readonly cluster: Ground;
  readonly state: 'passed' | 'failed' | 'skipped';
  /** Why it failed or was skipped. */
  readonly reason?: string;
  readonly elapsedMs: number;
}
