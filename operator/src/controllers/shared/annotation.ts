import type { KubernetesObject } from '../../kube/kubernetes-object.ts';

/** The value of an annotation. */
export function annotationOf(object: KubernetesObject, key: string): string | undefined {
  return object.metadata.annotations?.[key];
}
