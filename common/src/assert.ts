/**
 * A broken invariant of our own code: never an expected failure, never caused by input or by a bad disk.
 * The daemon stops at once when it meets one (a restart replays the journal); the operator fails the one key.
 */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/**
 * States what must hold here if our own code is right.
 *
 * @throws InvariantError when `condition` is false.
 */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}

/** Marks a branch that the compiler knows to be impossible; throws InvariantError if it is reached after all. */
export function assertNever(value: never, what: string): never {
  throw new InvariantError(`${what}: unexpected ${JSON.stringify(value)}`);
}
