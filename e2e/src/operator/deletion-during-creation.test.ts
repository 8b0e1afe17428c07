/**
 * Everything is deleted while the operator, killed at one of its calls, is down: what it had begun is in no list of
 * its own, only in the objects and at the daemon. When it is back it must find and remove all of it.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createAll, deleteAll, untilAllIsThere, untilNothingIsLeft } from './life-cycle.ts';
import { OperatorSite } from './operator-site.ts';

const allRunsTimeoutMs = 300_000;
/** Making a claim, a snapshot, a restore and a clone takes some thirty calls. */
const runsMin = 20;

let site: OperatorSite;

beforeAll(async () => {
  site = await OperatorSite.start();
});

afterAll(async () => {
  await site.end();
});

/** Returns whether it came to the call before all was made. */
async function deleteAtCall(callNumber: number): Promise<boolean> {
  const kind = callNumber % 2 === 0 ? 'drop' : 'lose-answer';
  site.gate.arm({ callNumber, kind, isCrash: true });
  await createAll(site);
  await Promise.race([site.gate.crashed, untilAllIsThere(site)]);
  const isReached = site.gate.isFaultSpent;
  await site.stopOperator();
  await deleteAll(site);
  site.gate.disarm();
  await site.startOperator();
  await untilNothingIsLeft(site);
  expect(await site.heldByDaemon()).toEqual([]);
  return isReached;
}

describe('the operator', () => {
  test(
    'leaves nothing behind when all is deleted in the middle of its work, and it is killed there',
    async () => {
      let callNumber = 1;
      while (await deleteAtCall(callNumber)) callNumber += 1;
      expect(callNumber).toBeGreaterThan(runsMin);
    },
    allRunsTimeoutMs,
  );
});
