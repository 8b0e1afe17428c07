/**
 * What a claim that waits says about it: the condition `Provisioned`, there only while provisioning waits or failed,
 * and an event with each change of it. The reason is that of the upstream provisioner.
 */
import type { PersistentVolumeClaim } from '../../kube/core-kinds.ts';
import type { Condition } from '../../kube/kubernetes-object.ts';
import { changedConditions } from '../shared/condition-list.ts';
import { conditionTypes } from '../shared/condition-types.ts';
import type { DecisionContext } from '../shared/decision-context.ts';
import { warningEvent, type ObjectEvent } from '../shared/object-event.ts';

/** A write of the status, and what is told with it. */
export interface StatusWrite {
  /** Undefined: the schema has no conditions, the event must do. */
  readonly conditions: readonly Condition[] | undefined;
  readonly events: readonly ObjectEvent[];
}

/** Says why there is no volume yet; undefined when that is said already. */
export function failureWrite(
  claim: PersistentVolumeClaim,
  message: string,
  context: DecisionContext,
): StatusWrite | undefined {
  const reason = 'ProvisioningFailed';
  const events = [warningEvent(reason, message)];
  if (!context.hasConditions) return { conditions: undefined, events };
  const conditions = changedConditions(
    claim.status?.conditions,
    { type: conditionTypes.provisioned, status: 'False', reason, message },
    { nowMs: context.nowMs },
  );
  return conditions === undefined ? undefined : { conditions, events };
}
