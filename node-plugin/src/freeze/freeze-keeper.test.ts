import { beforeEach, expect, test } from '@jest/globals';
import { silentLogger } from '@varve/common/logger';
import { ManualClock } from '@varve/common/testing/manual-clock';
import { benchNames, VolumeBench } from '../testing/volume-bench.ts';
import { stageVolume } from '../volumes/stage-volume.ts';
import { FreezeKeeper, watchdogMs } from './freeze-keeper.ts';

const { volumeHandle, stagingPath } = benchNames;
let bench: VolumeBench;
let clock: ManualClock;
let keeper: FreezeKeeper;

beforeEach(async () => {
  bench = new VolumeBench();
  clock = new ManualClock();
  keeper = new FreezeKeeper({ system: bench.system, clock, log: silentLogger() });
  await stageVolume(bench.context(), bench.stageRequest());
});

const frozen = () => [...bench.system.frozen];

test('a freeze lasts until its caller ends it, and a repeat changes nothing', async () => {
  expect(await keeper.freeze('f', [volumeHandle])).toEqual({ state: 'frozen' });
  expect(await keeper.freeze('f', [volumeHandle])).toEqual({ state: 'frozen' });
  expect(frozen()).toEqual([stagingPath]);
  await clock.advance(100);
  const thawed = { state: 'thawed', endedBy: 'caller', frozenMs: 100 };
  expect(await keeper.thaw('f')).toEqual(thawed);
  expect(frozen()).toEqual([]);
  expect(await keeper.thaw('f')).toEqual(thawed);
  expect(clock.timerCount).toBe(0);
});

test('the watchdog thaws whatever happens, and the caller is told', async () => {
  await keeper.freeze('f', [volumeHandle]);
  await clock.advance(watchdogMs - 1);
  expect(frozen()).toEqual([stagingPath]);
  await clock.advance(1);
  expect(frozen()).toEqual([]);
  const thawed = { state: 'thawed', endedBy: 'watchdog', frozenMs: watchdogMs };
  expect(await keeper.thaw('f')).toEqual(thawed);
  expect(await keeper.freeze('f', [volumeHandle])).toEqual(thawed);
  expect(frozen()).toEqual([]);
});

test('a freeze that takes longer than the watchdog is thawed as soon as it is done', async () => {
  const release = Promise.withResolvers<void>();
  const freeze = bench.system.freezeFilesystem.bind(bench.system);
  bench.system.freezeFilesystem = async (path) => {
    await release.promise;
    await freeze(path);
  };
  const call = keeper.freeze('f', [volumeHandle]);
  await clock.advance(watchdogMs);
  release.resolve();
  expect(await call).toMatchObject({ state: 'thawed', endedBy: 'watchdog' });
  expect(frozen()).toEqual([]);
});

test.each(['before', 'after'] as const)(
  'a freeze that fails %s its effect leaves nothing frozen',
  async (fault) => {
    bench.system.faults = (method) => (method === 'freezeFilesystem' ? fault : undefined);
    await expect(keeper.freeze('f', [volumeHandle])).rejects.toThrow('freezeFilesystem fails');
    expect(frozen()).toEqual([]);
    bench.system.faults = () => undefined;
    expect(await keeper.freeze('f', [volumeHandle])).toEqual({ state: 'frozen' });
  },
);

test('a thaw that fails once is tried again', async () => {
  await keeper.freeze('f', [volumeHandle]);
  let failures = 1;
  bench.system.faults = (method) =>
    method === 'thawFilesystem' && failures-- > 0 ? 'before' : undefined;
  await keeper.thaw('f');
  expect(frozen()).toEqual([]);
});

test('what a caller could not thaw, the watchdog does', async () => {
  await keeper.freeze('f', [volumeHandle]);
  bench.system.faults = (method) => (method === 'thawFilesystem' ? 'before' : undefined);
  await expect(keeper.thaw('f')).rejects.toThrow('thawFilesystem fails');
  await clock.advance(watchdogMs);
  expect(frozen()).toEqual([stagingPath]);
  bench.system.faults = () => undefined;
  await clock.advance(watchdogMs);
  expect(frozen()).toEqual([]);
  expect(clock.timerCount).toBe(0);
});

test('one volume that cannot be frozen frees the others', async () => {
  const call = keeper.freeze('f', [volumeHandle, 'daemon/other']);
  await expect(call).rejects.toMatchObject({ kind: 'not-found' });
  expect(frozen()).toEqual([]);
});

test('a plugin that starts thaws what a killed one has left', async () => {
  await keeper.freeze('f', [volumeHandle]);
  await new FreezeKeeper({ system: bench.system, clock, log: silentLogger() }).thawAll();
  expect(frozen()).toEqual([]);
});

test('closing thaws', async () => {
  await keeper.freeze('f', [volumeHandle]);
  await keeper.close();
  expect(frozen()).toEqual([]);
});

test.each([
  ['other volumes under one id', ['x'], 'already-exists'],
  ['an id that nobody froze', undefined, 'not-found'],
])('%s are refused', async (_, volumes, kind) => {
  await keeper.freeze('f', [volumeHandle]);
  const call = volumes === undefined ? keeper.thaw('g') : keeper.freeze('f', volumes);
  await expect(call).rejects.toMatchObject({ kind });
});
