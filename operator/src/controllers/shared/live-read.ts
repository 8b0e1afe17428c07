import { isNotFound } from '../../kube/api-errors.ts';
import type { KubeClient } from '../../kube/kube-client.ts';
import type { KubernetesObject, ObjectName } from '../../kube/kubernetes-object.ts';
import type { Resource } from '../../kube/resource.ts';

/**
 * Asks the API server, not the cache. For decisions that delete something, or that let something go because another
 * thing is not there: the absence of an object in a cache proves nothing.
 */
export async function readLive<T extends KubernetesObject>(
  client: KubeClient,
  resource: Resource<T>,
  name: ObjectName,
): Promise<T | undefined> {
  try {
    return await client.get(resource, name);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
