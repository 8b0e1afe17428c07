/** Which calls of the fake machine fail, and how. */

/** What happens to one call. */
export type Fault =
  /** It fails and nothing happened. */
  | 'before'
  /** It fails although it took effect. */
  | 'after'
  /** The plugin is killed at this point, before the call has an effect. */
  | 'kill';

/** Decides about each call, in order. */
export type FaultPlan = (method: string) => Fault | undefined;

/** The plugin was killed: nothing of it runs on, and the next one starts from what is there. */
export class KilledError extends Error {
  override readonly name = 'KilledError';
}
