import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { InvariantError } from '@varve/common/assert';
import { silentLogger } from '@varve/common/logger';
import { ManualClock } from '@varve/common/testing/manual-clock';
import { Registry } from 'prom-client';
import { things } from '../testing/machinery.ts';
import { thing } from '../testing/scripted-api-server.ts';
import { ApiError } from './api-errors.ts';
import { ObjectStore } from './cache/object-store.ts';
import { Controller } from './controller.ts';
import { KubeMetrics } from './kube-metrics.ts';
import type { KubernetesObject } from './kubernetes-object.ts';
import { objectKey } from './kubernetes-object.ts';
import { watch } from './reconciler.ts';
import { done, requeueAfter, terminal } from './reconcile-result.ts';
import type { ReconcileResult } from './reconcile-result.ts';
import type { Resource } from './resource.ts';

const options = { workerCount: 2, passTimeoutMs: 60_000, resyncIntervalMs: 900_000 };

type Pass = (key: string, signal: AbortSignal) => ReconcileResult | Promise<ReconcileResult>;

let clock: ManualClock;
let registry: Registry;
let store: ObjectStore<KubernetesObject>;
let controller: Controller;
let passes: string[];

function run(pass: Pass): void {
  const listers = { of: () => store };
  controller = new Controller(
    {
      name: 'things',
      watches: [watch(things, ({ object }) => [objectKey(object.metadata)])],
      indexes: [],
      reconciler: {
        reconcile: async (key, signal) => {
          passes.push(`${key} at ${clock.monotonicMs()}`);
          return pass(key, signal);
        },
      },
    },
    options,
    {
      stores: { storeOf: <T extends KubernetesObject>(_resource: Resource<T>) => store as never },
      listers: listers as never,
      clock,
      log: silentLogger(),
      metrics: new KubeMetrics(registry),
      random: () => 0.5,
    },
  );
  controller.start();
}

async function outcomes(): Promise<Record<string, number>> {
  const { values } = await registry.getSingleMetric('varve_operator_reconciles_total')!.get();
  return Object.fromEntries(values.map(({ labels, value }) => [labels['outcome'], value]));
}

beforeEach(() => {
  clock = new ManualClock();
  registry = new Registry();
  store = new ObjectStore();
  passes = [];
});

afterEach(async () => {
  await controller.stop();
});

describe('Controller', () => {
  test('done: works on a key once per change and not again', async () => {
    run(done);
    store.upsert(thing('a', 1));
    await clock.advance(60_000);
    store.upsert(thing('a', 2));
    await clock.advance(60_000);
    expect(passes).toEqual(['a at 0', 'a at 60000']);
    expect(await outcomes()).toEqual({ done: 2 });
  });

  test('requeue after: looks again when the time has come, and that is no failure', async () => {
    let count = 0;
    run(() => (++count < 3 ? requeueAfter(5000) : done()));
    store.upsert(thing('a', 1));
    await clock.advance(60_000);
    expect(passes).toEqual(['a at 0', 'a at 5000', 'a at 10000']);
    expect(await outcomes()).toEqual({ 'requeue-after': 2, done: 1 });
  });

  test('thrown: comes back with growing pauses, and starts over after a success', async () => {
    let count = 0;
    run(() => {
      if (++count <= 3) throw new Error('no');
      return done();
    });
    store.upsert(thing('a', 1));
    await clock.advance(60_000);
    expect(passes).toEqual(['a at 0', 'a at 100', 'a at 300', 'a at 700']);
    expect(await outcomes()).toEqual({ error: 3, done: 1 });
    count = 2;
    store.upsert(thing('a', 2));
    await clock.advance(200);
    expect(passes.slice(4)).toEqual(['a at 60000', 'a at 60100']);
  });

  test('thrown with a time to stay away: stays away', async () => {
    let count = 0;
    run(() => {
      if (++count === 1) {
        throw new ApiError('busy', { kind: 'too-many-requests', retryAfterMs: 7000 });
      }
      return done();
    });
    store.upsert(thing('a', 1));
    await clock.advance(60_000);
    expect(passes).toEqual(['a at 0', 'a at 7000']);
  });

  test('terminal: is not tried again until the object changes', async () => {
    run(() => terminal(new Error('never')));
    store.upsert(thing('a', 1));
    await clock.advance(600_000);
    expect(passes).toEqual(['a at 0']);
    store.upsert(thing('a', 2));
    await clock.advance(1);
    expect(passes).toHaveLength(2);
    expect(await outcomes()).toEqual({ terminal: 2 });
  });

  test.each(['conflict', 'not-found', 'already-exists'] as const)(
    '%s is counted apart from errors: somebody was faster',
    async (kind) => {
      let count = 0;
      run(() => {
        if (++count === 1) throw new ApiError('no', { kind });
        return done();
      });
      store.upsert(thing('a', 1));
      await clock.advance(1000);
      expect(await outcomes()).toEqual({ conflict: 1, done: 1 });
    },
  );

  test('a broken invariant fails its key alone', async () => {
    run((key) => {
      if (key === 'bad') throw new InvariantError('impossible');
      return done();
    });
    store.upsert(thing('bad', 1));
    store.upsert(thing('good', 2));
    await clock.advance(50);
    expect(passes).toEqual(['bad at 0', 'good at 0']);
    expect(await outcomes()).toEqual({ error: 1, done: 1 });
  });

  test('never works on a key twice at once, but on several keys', async () => {
    const ends: (() => void)[] = [];
    run(async () => {
      await new Promise<void>((resolve) => ends.push(resolve));
      return done();
    });
    store.upsert(thing('a', 1));
    store.upsert(thing('a', 2));
    store.upsert(thing('b', 3));
    await clock.advance(1);
    store.upsert(thing('a', 4));
    await clock.advance(1);
    expect(passes).toEqual(['a at 0', 'b at 0']);
    for (const end of ends.splice(0)) end();
    await clock.advance(1);
    expect(passes.slice(2)).toEqual(['a at 2']);
    for (const end of ends.splice(0)) end();
  });

  test('aborts a pass that takes too long, and tries again', async () => {
    let count = 0;
    run(async (_key, signal) => {
      if (++count > 1) return done();
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error));
      });
    });
    store.upsert(thing('a', 1));
    await clock.advance(70_000);
    expect(passes).toEqual(['a at 0', 'a at 60100']);
  });

  test('looks at everything again from time to time', async () => {
    run(done);
    store.replaceAll([thing('a', 1), thing('b', 2)], '2');
    await clock.advance(900_000);
    expect(passes).toEqual(['a at 0', 'b at 0', 'a at 900000', 'b at 900000']);
    await clock.advance(900_000);
    expect(passes.slice(4)).toEqual(['a at 1800000', 'b at 1800000']);
  });

  test('stop() aborts passes under way, and counts no failure', async () => {
    let isAborted = false;
    run(async (_key, signal) => {
      await new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => {
          isAborted = true;
          resolve();
        });
      });
      throw new Error('aborted');
    });
    store.upsert(thing('a', 1));
    await clock.advance(1);
    await controller.stop();
    expect(isAborted).toBe(true);
    expect(await outcomes()).toEqual({});
    expect(clock.timerCount).toBe(0);
  });
});
