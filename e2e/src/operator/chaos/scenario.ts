import type { OperatorSite } from '../operator-site.ts';

/** Something that a user does, and how it ends when the operator has done its part. */
export interface Step {
  /** For messages: "all is created". */
  readonly what: string;
  /** Asks the API server for it. Is not disturbed by faults. */
  act(site: OperatorSite): Promise<void>;
  /** Waits for the end, by `site.until`. */
  settle(site: OperatorSite): Promise<void>;
  /** More that must hold then, besides what `run-scenario.ts` asks of every step: expectations of jest, or throws. */
  check?(site: OperatorSite): Promise<void>;
}

/**
 * A life that is led with a fault at each of its calls, one a run. It may not rely on anything but the classes and
 * the StorageDaemon of the site, and at its end nothing may be left. The names of its objects are its own.
 */
export interface Scenario {
  /** kebab-case; `npm run chaos -- --only <name>`. */
  readonly name: string;
  readonly steps: readonly Step[];
}
