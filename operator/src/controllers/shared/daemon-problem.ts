/** How a pass ends after a storage daemon refused: the table of errors in the contract decides. */
import { isProblemError, type ProblemError } from '@varve/contract/problem';
import { terminal, type ReconcileResult } from '../../kube/reconcile-result.ts';

/**
 * Our own message of a daemon's refusal, or undefined for what is not a refusal: a broken invariant, or the end of
 * the pass by its signal.
 */
export function asDaemonProblem(error: unknown): ProblemError | undefined {
  return isProblemError(error) ? error : undefined;
}

/** Whether the same call can never succeed as things stand. */
export function isHopeless(problem: ProblemError): boolean {
  return problem.retry === 'never';
}

/** Ends the pass: hopeless problems stop the key, all others are thrown and come back with growing pauses. */
export function endWith(problem: ProblemError): ReconcileResult {
  if (isHopeless(problem)) return terminal(problem);
  throw problem;
}
