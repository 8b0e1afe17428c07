/** The store broke a promise (or the harness is wrong about one): the run ends, the seed is reported. */
export class SimulationFailure extends Error {
  override readonly name = 'SimulationFailure';
}

/** States what the store promises; `message` says what was seen instead. */
export function expectHolds(holds: boolean, message: () => string): asserts holds {
  if (!holds) throw new SimulationFailure(message());
}
