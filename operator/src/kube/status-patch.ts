import { isDeepStrictEqual } from 'node:util';
import type { KubeClient } from './kube-client.ts';
import type { Condition, KubernetesObject } from './kubernetes-object.ts';
import type { Resource } from './resource.ts';

/** A condition as a controller states it; times and generation are added here. */
export interface ConditionState {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
}

/**
 * The conditions with `changes` made: a list-map by type that keeps the conditions of others and their
 * order. `lastTransitionTime` changes with `status` only.
 */
export function withConditions(
  held: readonly Condition[] | undefined,
  changes: readonly ConditionState[],
  context: { readonly nowMs: number; readonly generation?: number | undefined },
): readonly Condition[] {
  const conditions = [...(held ?? [])];
  for (const change of changes) {
    const index = conditions.findIndex((condition) => condition.type === change.type);
    const previous = conditions[index];
    const isSameStatus = previous?.status === change.status;
    const condition: Condition = {
      type: change.type,
      status: change.status,
      reason: change.reason,
      message: change.message,
      lastTransitionTime: isSameStatus
        ? previous.lastTransitionTime
        : `${new Date(context.nowMs).toISOString().slice(0, 19)}Z`,
      ...(context.generation === undefined ? {} : { observedGeneration: context.generation }),
    };
    if (previous === undefined) conditions.push(condition);
    else conditions[index] = condition;
  }
  return conditions;
}

/**
 * The merge patch that turns `held` into `desired`: null deletes, what `desired` leaves out is untouched,
 * lists are whole. Undefined when nothing differs.
 */
export function mergePatchBetween(held: unknown, desired: object): object | undefined {
  const before = isRecord(held) ? held : {};
  const patch: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(desired)) {
    if (value === undefined) continue;
    const current = before[key];
    if (value === null) {
      if (current !== undefined && current !== null) patch[key] = null;
    } else if (isRecord(value) && isRecord(current)) {
      const inner = mergePatchBetween(current, value);
      if (inner !== undefined) patch[key] = inner;
    } else if (!isDeepStrictEqual(current, value)) {
      patch[key] = value;
    }
  }
  return Object.keys(patch).length === 0 ? undefined : patch;
}

/** An object that has a status. */
export interface ObjectWithStatus extends KubernetesObject {
  readonly status?: object;
}

/**
 * Brings the object's status to `desired` (see {@link mergePatchBetween}) with one guarded merge patch of
 * the status subresource, or with none when nothing differs: an unchanged status must not make a watch
 * event, or the controller would wake itself for ever. Returns the object as it is then.
 *
 * Guarded by the resourceVersion because lists (conditions) are replaced whole: a concurrent change is a
 * conflict, never lost.
 */
export async function patchStatus<T extends ObjectWithStatus>(
  client: KubeClient,
  resource: Resource<T>,
  object: T,
  desired: object,
): Promise<T> {
  const status = mergePatchBetween(object.status, desired);
  if (status === undefined) return object;
  const { namespace, name, resourceVersion } = object.metadata;
  const body = { metadata: { resourceVersion }, status };
  return client.patch(
    resource,
    { namespace, name },
    { type: 'merge', body },
    { subresource: 'status' },
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
