import type { KubernetesObject } from '../../kube/kubernetes-object.ts';

/**
 * Whether the schema of a kind has `status.conditions`: ours has, upstream's snapshot definitions have not, and the
 * API server drops what a schema does not have. It is learnt from the answers to our own writes: without that,
 * a condition that is dropped each time would be written each time. Only a cache: a new process learns it again
 * with one write.
 */
export class ConditionSupport {
  #isSupported = true;

  /** Whether writing conditions is of use. */
  get isSupported(): boolean {
    return this.#isSupported;
  }

  /** Takes note of what came back for a status patch that held conditions. */
  observe(
    answer: KubernetesObject & { readonly status?: { readonly conditions?: unknown } },
  ): void {
    this.#isSupported = answer.status?.conditions !== undefined;
  }
}
