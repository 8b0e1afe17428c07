import { expect, test } from '@jest/globals';

import { runFuzzRound } from './fuzz-round.ts';

test('rounds of hostile hosts leave nothing behind', async () => {
  let pdus = 0;
  for (let seed = 1; seed <= 40; seed++) pdus += (await runFuzzRound(seed)).pdus;
  // Most of what is sent gets somewhere: broken first PDUs alone would end all connections at once.
  expect(pdus).toBeGreaterThan(5_000);
});

test('a seed gives the same round again', async () => {
  expect(await runFuzzRound(7)).toEqual(await runFuzzRound(7));
});
