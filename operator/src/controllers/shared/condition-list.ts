import { isDeepStrictEqual } from 'node:util';
import type { Condition } from '../../kube/kubernetes-object.ts';
import { withConditions, type ConditionState } from '../../kube/status-patch.ts';

/** Finds the condition of a type. */
export function findCondition(
  conditions: readonly Condition[] | undefined,
  type: string,
): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}

/** The list with a condition stated, or undefined when the list says that already: then there is nothing to write. */
export function changedConditions(
  held: readonly Condition[] | undefined,
  state: ConditionState,
  context: { readonly nowMs: number; readonly generation?: number | undefined },
): readonly Condition[] | undefined {
  const conditions = withConditions(held, [state], context);
  return isDeepStrictEqual(conditions, held) ? undefined : conditions;
}

/** The list without the condition of a type, or undefined when it has none. */
export function withoutCondition(
  conditions: readonly Condition[] | undefined,
  type: string,
): readonly Condition[] | undefined {
  if (findCondition(conditions, type) === undefined) return undefined;
  return conditions?.filter((condition) => condition.type !== type);
}

/** A time as Kubernetes writes it: UTC, whole seconds. */
export function formatTime(timeMs: number): string {
  return `${new Date(timeMs).toISOString().slice(0, 19)}Z`;
}
