/**
 * A Kubernetes API server that the tests run against. Tests see nothing else of it, so they cannot tell the two
 * kinds apart.
 */

/** The playground's own API server, or the real one. */
export type ClusterKind = 'embedded' | 'real';

/** All kinds, in the order in which they are run and printed. */
export const clusterKinds: readonly ClusterKind[] = ['embedded', 'real'];

/** A running API server with the controllers that the tests rely on. */
export interface Cluster {
  readonly kind: ClusterKind;
  /** Names the programs, for the report: `kube-apiserver with RBAC, kube-controller-manager, etcd`. */
  readonly description: string;
  /** The file with which a user may do everything. */
  readonly kubeconfig: string;
  /** Makes the identity under which the operator runs, and returns its kubeconfig. */
  prepareOperatorIdentity(): Promise<string>;
  /** The ends of the logs of its processes: what a failed test shows. */
  logTails(): string;
  stop(): Promise<void>;
}
