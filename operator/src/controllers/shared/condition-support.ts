import type { SnapshotRoleView } from '../../coexistence/snapshot-role.ts';
import type { KubernetesObject } from '../../kube/kubernetes-object.ts';

/**
 * Whether the schema of a kind has `status.conditions`: ours has, upstream's snapshot definitions have not, and the
 * API server drops what a schema does not have. It is learnt from the answers to our own writes: without that,
 * a condition that is dropped each time would be written each time. Only a cache: a new process learns it again
 * with one write. A foreign snapshot-controller drops conditions whatever the schema has: with the role, snapshots
 * and contents lose them.
 */
export class ConditionSupport {
  readonly #role: SnapshotRoleView | undefined;
  #isSupported = true;

  /** `role` for kinds whose status the snapshot controller writes too. */
  constructor(role?: SnapshotRoleView) {
    this.#role = role;
  }

  /** Whether writing conditions is of use. */
  get isSupported(): boolean {
    return this.#isSupported && (this.#role === undefined || this.#role.state === 'ours');
  }

  /** Takes note of what came back for a status patch that held conditions. */
  observe(
    answer: KubernetesObject & { readonly status?: { readonly conditions?: unknown } },
  ): void {
    this.#isSupported = answer.status?.conditions !== undefined;
  }
}
