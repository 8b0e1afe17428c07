import { describe, expect, test } from '@jest/globals';

import { profileTimes } from './cpu-profile.ts';

const frames = [
  ['(program)', ''],
  ['(garbage collector)', ''],
  ['(idle)', ''],
  ['enter', 'file:///dist/uring/system-calls.js'],
  ['read', 'file:///dist/store/read.js'],
  ['enter', 'file:///dist/store/door.js'],
];
const text = JSON.stringify({
  nodes: frames.map(([functionName, url], id) => ({ id, callFrame: { functionName, url } })),
  startTime: 1000,
  samples: [4, 0, 1, 2, 3, 4, 5, 4],
  timeDeltas: [10, 1, 2, 3, 4, 5, 6, 100],
});

describe('profileTimes()', () => {
  test('tells JavaScript from system calls, collections and waiting, within the window', () => {
    const times = profileTimes(text, { from: 1011, end: 1100 });
    expect(times).toMatchObject({ javaScript: 11, garbageCollection: 2, native: 5, idle: 3 });
  });

  test('names the functions with the most time first', () => {
    expect(profileTimes(text, { from: 0, end: 2000 }).functions).toEqual([
      { name: 'read (read.js)', time: 115 },
      { name: 'enter (door.js)', time: 6 },
    ]);
  });
});
