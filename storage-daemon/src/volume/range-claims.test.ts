import { describe, expect, test } from '@jest/globals';

import { RangeClaims, type ReleaseClaim } from './range-claims.ts';

/** Claims by name, and the order in which they were granted. */
function newClaims() {
  const claims = new RangeClaims();
  const granted: string[] = [];
  const claim = (name: string, startLbn: number, endLbn: number, isExclusive = false) =>
    claims.acquire({ startLbn, endLbn, isExclusive, granted: () => granted.push(name) });
  return { granted, claim };
}

describe('RangeClaims', () => {
  test('shared claims on the same blocks run beside each other', () => {
    const { granted, claim } = newClaims();
    claim('a', 0, 10);
    claim('b', 5, 6);
    expect(granted).toEqual(['a', 'b']);
  });

  test('an exclusive claim waits for all earlier ones that overlap it, and later ones for it', () => {
    const { granted, claim } = newClaims();
    const a = claim('a', 0, 5);
    const b = claim('b', 4, 8);
    const exclusive = claim('exclusive', 4, 5, true);
    claim('beside', 5, 9);
    const later = claim('later', 0, 5);
    expect(granted).toEqual(['a', 'b', 'beside']);
    a();
    expect(granted).toHaveLength(3);
    b();
    expect(granted).toEqual(['a', 'b', 'beside', 'exclusive']);
    exclusive();
    expect(granted).toEqual(['a', 'b', 'beside', 'exclusive', 'later']);
    later();
  });

  test('nobody overtakes a claim that still waits', () => {
    const { granted, claim } = newClaims();
    const first = claim('first', 0, 1, true);
    const wide = claim('wide', 0, 9, true);
    claim('narrow', 8, 9);
    expect(granted).toEqual(['first']);
    first();
    expect(granted).toEqual(['first', 'wide']);
    wide();
    expect(granted).toEqual(['first', 'wide', 'narrow']);
  });

  test('a chain of exclusive claims ends in order of arrival', () => {
    const { granted, claim } = newClaims();
    const releases: ReleaseClaim[] = [];
    for (let index = 0; index < 5; index++) releases.push(claim(String(index), 3, 4, true));
    for (const release of releases) release();
    expect(granted).toEqual(['0', '1', '2', '3', '4']);
  });

  test('releasing a claim that was not granted, or twice, is our own bug', () => {
    const { claim } = newClaims();
    const first = claim('first', 0, 1, true);
    const waiting = claim('waiting', 0, 1);
    expect(waiting).toThrow(/before it was granted/);
    first();
    expect(first).toThrow(/before it was granted/);
  });
});
