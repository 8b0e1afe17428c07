/**
 * The state of an object in one sentence, in an annotation: for objects whose definition has no conditions, or whose
 * conditions another controller drops. People find it with `kubectl describe`, where they would look for conditions.
 */
import type { KubeClient } from '../../kube/kube-client.ts';
import type { KubernetesObject } from '../../kube/kubernetes-object.ts';
import { isTerminating } from '../../kube/kubernetes-object.ts';
import type { Resource } from '../../kube/resource.ts';
import type { SnapshotError } from '../../kube/snapshot-kinds.ts';
import { annotationOf } from './annotation.ts';
import { annotations } from './protocol-names.ts';

/** What a snapshot or a content says of itself. */
interface SnapshotLike extends KubernetesObject {
  readonly status?: { readonly readyToUse?: boolean; readonly error?: SnapshotError };
}

/** The sentence about a snapshot or a content. The same until its state is another. */
export function snapshotNote(object: SnapshotLike): string {
  const { readyToUse, error } = object.status ?? {};
  if (isTerminating(object)) return 'Being deleted';
  if (readyToUse === true) return 'Ready: the snapshot is taken and can be restored from';
  return error?.message ?? 'Waiting for the storage daemon to take the snapshot';
}

/** Writes the sentence, if the object does not carry it yet. */
export async function writeNote<T extends KubernetesObject>(
  client: KubeClient,
  resource: Resource<T>,
  { object, note }: { readonly object: T; readonly note: string },
): Promise<void> {
  if (annotationOf(object, annotations.status) === note) return;
  const { namespace, name, resourceVersion } = object.metadata;
  const body = { metadata: { resourceVersion, annotations: { [annotations.status]: note } } };
  await client.patch(resource, { namespace, name }, { type: 'merge', body });
}
