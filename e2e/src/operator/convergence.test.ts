/**
 * Whatever single call fails, and wherever the operator is killed: in the end there is exactly what was asked for, and
 * after the deletion nothing. The calls are counted, so each of them gets its turn; how many there are differs by a few
 * from run to run, since several objects are worked on at once.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Fault, FaultKind } from './call-gate.ts';
import {
  createAll,
  deleteAll,
  expectedAtDaemon,
  untilAllIsThere,
  untilNothingIsLeft,
} from './life-cycle.ts';
import { oneMorePass } from './one-more-pass.ts';
import { OperatorSite } from './operator-site.ts';

/** Longer than all runs of one test take on a slow machine. */
const allRunsTimeoutMs = 300_000;
/** A life without a fault takes some fifty calls: far fewer runs would mean that the faults do not happen. */
const runsMin = 30;

let site: OperatorSite;

beforeAll(async () => {
  site = await OperatorSite.start();
});

afterAll(async () => {
  await site.end();
});

async function restartAfterCrash(): Promise<void> {
  await site.gate.crashed;
  await site.stopOperator();
  site.gate.disarm();
  await site.startOperator();
}

/** Leads the whole life, with a fault somewhere; returns whether it came to the fault. */
async function live(fault: Fault): Promise<boolean> {
  site.gate.arm(fault);
  const restarted = fault.isCrash ? restartAfterCrash() : undefined;
  await createAll(site);
  await untilAllIsThere(site);
  expect(await site.heldByDaemon()).toEqual(expectedAtDaemon(site));
  await deleteAll(site);
  await untilNothingIsLeft(site);
  expect(await site.heldByDaemon()).toEqual([]);
  const isReached = site.gate.isFaultSpent;
  if (isReached) await restarted;
  site.gate.disarm();
  return isReached;
}

/** Runs with a fault at the first call, at the second and so on, until a run has fewer calls. */
async function runAtEachCall(run: (callNumber: number) => Promise<boolean>): Promise<void> {
  let callNumber = 1;
  while (await run(callNumber)) callNumber += 1;
  expect(callNumber).toBeGreaterThan(runsMin);
}

describe('the operator', () => {
  test('changes nothing in a world at rest, and leaves nothing behind', async () => {
    await createAll(site);
    await untilAllIsThere(site);
    await site.stopOperator();
    const { passCount, ...rest } = await oneMorePass(site);
    expect(passCount).toBeGreaterThan(10);
    expect(rest).toEqual({ unrest: [], calls: [] });
    await site.startOperator();
    await deleteAll(site);
    await untilNothingIsLeft(site);
    expect(await site.heldByDaemon()).toEqual([]);
  });

  const faultKinds: readonly FaultKind[] = ['refuse', 'drop', 'lose-answer'];

  test(
    'gets there though any one of its calls fails',
    async () => {
      await runAtEachCall(async (callNumber) => {
        const kind = faultKinds[callNumber % faultKinds.length] ?? 'drop';
        return live({ callNumber, kind, isCrash: false });
      });
    },
    allRunsTimeoutMs,
  );

  test(
    'gets there though it is killed at any of its calls',
    async () => {
      await runAtEachCall(async (callNumber) => {
        const kind = callNumber % 2 === 0 ? 'drop' : 'lose-answer';
        return live({ callNumber, kind, isCrash: true });
      });
    },
    allRunsTimeoutMs,
  );
});
