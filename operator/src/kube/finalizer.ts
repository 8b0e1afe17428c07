import { isNotFound } from './api-errors.ts';
import type { KubeClient } from './kube-client.ts';
import type { KubernetesObject } from './kubernetes-object.ts';
import type { Resource } from './resource.ts';

/** Whether the object carries the finalizer. */
export function hasFinalizer(object: KubernetesObject, finalizer: string): boolean {
  return object.metadata.finalizers?.includes(finalizer) ?? false;
}

/**
 * Changes the object's finalizers: the whole list in one merge patch, guarded by the resourceVersion, so
 * that a concurrent change of the list is a conflict and never lost. Returns the object as it is then, or
 * the same object when nothing had to change; undefined when it is gone.
 */
export async function changeFinalizers<T extends KubernetesObject>(
  client: KubeClient,
  resource: Resource<T>,
  object: T,
  changes: { readonly add?: readonly string[]; readonly remove?: readonly string[] },
): Promise<T | undefined> {
  const held = object.metadata.finalizers ?? [];
  const kept = held.filter((finalizer) => changes.remove?.includes(finalizer) !== true);
  const added = (changes.add ?? []).filter((finalizer) => !kept.includes(finalizer));
  if (kept.length === held.length && added.length === 0) return object;
  const { namespace, name, resourceVersion } = object.metadata;
  const body = { metadata: { resourceVersion, finalizers: [...kept, ...added] } };
  try {
    return await client.patch(resource, { namespace, name }, { type: 'merge', body });
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
