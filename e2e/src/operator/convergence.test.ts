/**
 * Whatever single call fails, and wherever the operator is killed: in the end there is exactly what was asked for, and
 * after the deletion nothing. The calls are counted, so each of them gets its turn; how many there are differs by a few
 * from run to run, since several objects are worked on at once. `npm run chaos` does the same with every scenario,
 * and with every call in every way.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { testedScenarios } from './chaos/all-scenarios.ts';
import { faultWays, runAtRest, runScenario, type FaultWay } from './chaos/run-scenario.ts';
import { OperatorSite } from './operator-site.ts';

/** Longer than all runs of one test take on a slow machine. */
const allRunsTimeoutMs = 300_000;
/** Each scenario has a dozen calls at least: fewer runs would mean that the faults do not happen. */
const runsMin = 10;

let site: OperatorSite;

beforeAll(async () => {
  site = await OperatorSite.start();
});

afterAll(async () => {
  await site.end();
});

const scenarios = testedScenarios.map((scenario) => [scenario.name, scenario] as const);

describe('the operator', () => {
  test.each(scenarios)(
    'in %s changes nothing in a world at rest, and leaves nothing behind',
    async (_name, scenario) => {
      expect(await runAtRest(site, scenario)).toBeGreaterThan(0);
      expect(await site.heldByDaemon()).toEqual([]);
    },
  );

  const ways = [
    ['any one of its calls fails', faultWays.filter(({ isCrash }) => !isCrash)],
    ['it is killed at any of its calls', faultWays.filter(({ isCrash }) => isCrash)],
  ] as const;

  const cases = scenarios.flatMap(([name, scenario]) =>
    ways.map(([title, some]) => [name, title, scenario, some] as const),
  );

  test.each(cases)(
    'in %s gets there though %s',
    async (_name, _title, scenario, some) => {
      let callNumber = 1;
      const wayOf = (call: number): FaultWay => some[call % some.length] ?? faultWays[0]!;
      while (await runScenario(site, scenario, { callNumber, ...wayOf(callNumber) })) {
        callNumber += 1;
      }
      expect(callNumber).toBeGreaterThan(runsMin);
    },
    allRunsTimeoutMs,
  );
});
