/**
 * Every scenario that `npm run chaos` leads. A new one is a file beside this one and a line here; nothing else needs
 * to know of it.
 */
import { revertLife } from './revert-scenarios.ts';
import type { Scenario } from './scenario.ts';
import { snapshotLife, snapshotLives } from './snapshot-scenarios.ts';

/** All of them: `npm run chaos`. */
export const allScenarios: readonly Scenario[] = [snapshotLife, revertLife, ...snapshotLives];

/** The part that `npm test` leads, with a fault at some of the calls. */
export const testedScenarios: readonly Scenario[] = [snapshotLife];
