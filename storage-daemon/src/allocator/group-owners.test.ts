import { Worker } from 'node:worker_threads';

import { describe, expect, test } from '@jest/globals';

import { GroupOwners } from './group-owners.ts';
import { whenWordChanges } from '../store/store-environment.ts';

/** Takes groups until there are none, and says which. */
const takeAll = `
  const { parentPort, workerData } = require('node:worker_threads');
  import(workerData.url).then(({ GroupOwners }) => {
    const owners = new GroupOwners(workerData.memory);
    const taken = [];
    for (let group = owners.claimAny(workerData.cell); group !== undefined; ) {
      taken.push(group);
      group = owners.claimAny(workerData.cell);
    }
    parentPort.postMessage(taken);
  });`;

function takeOnThread(owners: GroupOwners, cell: number): Promise<number[]> {
  const url = new URL('group-owners.js', import.meta.url).href;
  const workerData = { url, memory: owners.memory, cell };
  const worker = new Worker(takeAll, { eval: true, workerData });
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

describe('GroupOwners', () => {
  test('a group has one owner at a time, and is free again when that one gives it back', () => {
    const owners = new GroupOwners(3);
    expect(owners.claim(1, 7)).toBe(true);
    expect(owners.claim(1, 8)).toBe(false);
    expect(owners.isOwner(1, 7)).toBe(true);
    expect([owners.claimAny(8), owners.claimAny(8), owners.claimAny(8)]).toEqual([0, 2, undefined]);
    expect(owners.unownedCount).toBe(0);
    expect(() => owners.release(1, 8)).toThrow('group 1 of cell 7 is given back by cell 8');
    owners.release(1, 7);
    expect(owners.claimAny(8)).toBe(1);
  });

  test('a change on another thread wakes who waits for it', async () => {
    const owners = new GroupOwners(1);
    const { words, index } = owners.requests;
    const waiting = whenWordChanges(words, index, owners.lastRequest);
    const ask = `
      const { workerData } = require('node:worker_threads');
      import(workerData.url).then(({ GroupOwners }) => new GroupOwners(workerData.memory).ask());`;
    const url = new URL('group-owners.js', import.meta.url).href;
    const worker = new Worker(ask, { eval: true, workerData: { url, memory: owners.memory } });
    await waiting;
    expect(owners.lastRequest).toBe(1);
    await worker.terminate();
    // Nothing to wait for: it has changed already.
    await whenWordChanges(words, index, 0);
  });

  test('is scarce below a tenth of unowned groups', () => {
    const owners = new GroupOwners(20);
    for (let group = 0; group < 18; group++) owners.claim(group, 0);
    expect(owners.isScarce).toBe(false);
    owners.claim(18, 0);
    expect(owners.isScarce).toBe(true);
  });

  test('threads that take groups at the same time never take the same one', async () => {
    const groupCount = 20_000;
    const owners = new GroupOwners(groupCount);
    const taken = await Promise.all([0, 1, 2].map((cell) => takeOnThread(owners, cell)));
    for (const [cell, groups] of taken.entries()) {
      for (const group of groups) expect(owners.isOwner(group, cell)).toBe(true);
    }
    const all = new Set(taken.flat());
    expect(all.size).toBe(groupCount);
    expect(taken.flat()).toHaveLength(groupCount);
    expect(owners.unownedCount).toBe(0);
  });
});
