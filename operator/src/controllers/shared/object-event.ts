import type { EventRecorder } from '../../kube/event-recorder.ts';
import type { KubernetesObject } from '../../kube/kubernetes-object.ts';

/** What a controller tells a person about an object; a recorder makes a Kubernetes Event of it. */
export interface ObjectEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

/** Something that happens as it should. */
export function normalEvent(reason: string, message: string): ObjectEvent {
  return { type: 'Normal', reason, message };
}

/** Something that a person should know of. */
export function warningEvent(reason: string, message: string): ObjectEvent {
  return { type: 'Warning', reason, message };
}

/** Tells events about an object. */
export function tell(
  recorder: EventRecorder,
  object: KubernetesObject,
  events: readonly ObjectEvent[],
): void {
  for (const { type, reason, message } of events) {
    if (type === 'Normal') recorder.normal(object, reason, message);
    else recorder.warning(object, reason, message);
  }
}
