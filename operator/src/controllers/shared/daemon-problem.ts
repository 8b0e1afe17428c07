/** What follows from a storage daemon's refusal: the table of errors in the contract decides. */
import type { ProblemError } from '@varve/contract/problem';
import { terminal, type ReconcileResult } from '../../kube/reconcile-result.ts';

/** Whether the same call can never succeed as things stand. */
export function isHopeless(problem: ProblemError): boolean {
  return problem.retry === 'never';
}

/**
 * What the daemon said, and what happens next, for people. The same for every attempt: what changes from one to the
 * next would be a write, and an event, for each.
 */
export function describeProblem(problem: ProblemError): string {
  return isHopeless(problem)
    ? `${problem.message}. This is not tried again`
    : `${problem.message}. This is tried again with growing pauses of up to 5 minutes`;
}

/** Ends the pass: hopeless problems stop the key, all others are thrown and come back with growing pauses. */
export function endWith(problem: ProblemError): ReconcileResult {
  if (isHopeless(problem)) return terminal(problem);
  throw problem;
}
