/**
 * A pass in small steps: gather, decide, make one change, look again. The cache holds what our own writes returned, so
 * the next step decides on the result of the one before, and an object gets where it should be in one pass instead
 * of one per watch event. A step that finds nothing to do ends the pass.
 */
import { requeueAfter, type ReconcileResult } from '../../kube/reconcile-result.ts';

/** The longest way of an object is five changes; more in one pass is a decision that does not take effect. */
const stepsMax = 8;
/** Pause after a pass without end, so that a loop of ours costs the API server next to nothing. */
const endlessPassDelayMs = 5000;

/** Takes steps until one says how the pass ends. */
export async function takeSteps(
  signal: AbortSignal,
  step: () => Promise<ReconcileResult | 'again'>,
): Promise<ReconcileResult> {
  for (let count = 0; count < stepsMax; count++) {
    signal.throwIfAborted();
    const result = await step();
    if (result !== 'again') return result;
  }
  return requeueAfter(endlessPassDelayMs);
}
