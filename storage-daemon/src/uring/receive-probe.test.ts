import { readdirSync } from 'node:fs';

import { describe, expect, test } from '@jest/globals';

import { openIoRing } from './io-ring.ts';
import { parametersWords, setupFlag } from './kernel-abi.ts';
import { tellsOfReceives } from './receive-probe.ts';
import { closeDescriptor, ringSystemCalls, type RingSystemCalls } from './system-calls.ts';

/** A kernel that never tells of anything: the events are those of another ring, which is gone. */
const losingKernel: RingSystemCalls = {
  ...ringSystemCalls,
  createEventDescriptor: () => {
    const otherRing = ringSystemCalls.setup(8, new Uint32Array(parametersWords));
    const events = ringSystemCalls.createEventDescriptor(otherRing);
    closeDescriptor(otherRing);
    return events;
  },
};

function descriptorCount(): number {
  return readdirSync('/proc/self/fd').length;
}

describe('tellsOfReceives()', () => {
  test('is false where an event does not come, and the ring then leaves no work for later', () => {
    expect(tellsOfReceives(losingKernel)).toBe(false);
    const { ring, loop } = openIoRing({}, losingKernel);
    expect(ring.flags & setupFlag.deferTaskRun).toBe(0);
    loop.close();
  });

  test('leaves no descriptor open', () => {
    tellsOfReceives(ringSystemCalls);
    const before = descriptorCount();
    tellsOfReceives(ringSystemCalls);
    tellsOfReceives(losingKernel);
    expect(descriptorCount()).toBe(before);
  });
});
