import type { VolumeRevert } from '../../kube/volume-revert-kind.ts';
import { findCondition } from '../shared/condition-list.ts';
import { conditionTypes } from '../shared/condition-types.ts';

/** The reason of a revert that can never succeed. */
export const refusedReason = 'Refused';

/** Whether the revert is done or refused for good: its spec cannot change, so it is never looked at again. */
export function isFinished(revert: VolumeRevert): boolean {
  const reverted = findCondition(revert.status?.conditions, conditionTypes.reverted);
  return reverted?.status === 'True' || reverted?.reason === refusedReason;
}
