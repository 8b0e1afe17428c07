import { beforeEach, describe, expect, test } from '@jest/globals';
import { silentLogger } from '@varve/common/logger';
import { ManualClock } from '@varve/common/testing/manual-clock';
import { Registry } from 'prom-client';
import { failure, MemoryCluster } from '../testing/memory-cluster.ts';
import { thing } from '../testing/scripted-api-server.ts';
import { ApiError } from './api-errors.ts';
import type { CoreEvent } from './core-kinds.ts';
import type { EventRecorderOptions } from './event-recorder.ts';
import { ApiEventRecorder, eventRecorderDefaults } from './event-recorder.ts';
import { KubeMetrics } from './kube-metrics.ts';
import { coreEvents } from './resource.ts';

const object = thing('a', 7, { namespace: 'app' });

let clock: ManualClock;
let cluster: MemoryCluster;
let registry: Registry;
let recorder: ApiEventRecorder;

function createRecorder(overrides: Partial<EventRecorderOptions> = {}): ApiEventRecorder {
  return new ApiEventRecorder(
    { component: 'csi.varve.dev', instance: 'pod-1', ...eventRecorderDefaults, ...overrides },
    { client: cluster, clock, log: silentLogger(), metrics: new KubeMetrics(registry) },
  );
}

function told(): string[] {
  return cluster
    .peekAll(coreEvents)
    .map(({ type, reason, message, count }) => `${type} ${reason}: ${message} (${count})`);
}

async function results(): Promise<Record<string, number>> {
  const { values } = await registry.getSingleMetric('varve_operator_events_total')!.get();
  return Object.fromEntries(values.map(({ labels, value }) => [labels['result'], value]));
}

beforeEach(() => {
  clock = new ManualClock(Date.UTC(2026, 10, 24, 10, 0, 0));
  cluster = new MemoryCluster(clock);
  registry = new Registry();
  recorder = createRecorder();
});

describe('ApiEventRecorder', () => {
  test('makes an event that kubectl describe finds and sorts', async () => {
    recorder.warning(object, 'Stuck', 'no space');
    await recorder.flush();
    const [event] = cluster.peekAll(coreEvents) as [CoreEvent];
    expect(event).toMatchObject({
      metadata: { namespace: 'app', name: expect.stringMatching(/^a\.[0-9a-f]{16}$/) },
      involvedObject: {
        apiVersion: 'example.dev/v1',
        kind: 'Thing',
        namespace: 'app',
        name: 'a',
        uid: 'uid-a',
      },
      type: 'Warning',
      reason: 'Stuck',
      message: 'no space',
      source: { component: 'csi.varve.dev' },
      firstTimestamp: '2026-11-24T10:00:00Z',
      lastTimestamp: '2026-11-24T10:00:00Z',
      count: 1,
    });
  });

  test('names events so that those of one moment are listed in the order in which they came', async () => {
    const reasons = Array.from({ length: 12 }, (_, index) => `Reason${index}`);
    for (const reason of reasons) recorder.normal(object, reason, 'goes on');
    await recorder.flush();
    await clock.advance(1);
    recorder.normal(object, 'Last', 'goes on');
    await recorder.flush();
    const byName = cluster
      .peekAll(coreEvents)
      .toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
    expect(byName.map(({ reason }) => reason)).toEqual([...reasons, 'Last']);
  });

  test('puts events about cluster-scoped objects into the default namespace', async () => {
    recorder.normal(thing('sd', 1), 'Fine', 'all is well');
    await recorder.flush();
    const [event] = cluster.peekAll(coreEvents) as [CoreEvent];
    expect(event.metadata.namespace).toBe('default');
    expect(event.involvedObject).not.toHaveProperty('namespace');
  });

  test('a thousand repeats are one event and one write; the count follows minutes later', async () => {
    for (let count = 0; count < 1000; count++) recorder.warning(object, 'Stuck', 'no space');
    await recorder.flush();
    expect(cluster.written).toHaveLength(1);
    await clock.advance(299_000);
    recorder.warning(object, 'Stuck', 'no space');
    await recorder.flush();
    expect(cluster.written).toHaveLength(1);
    await clock.advance(1000);
    recorder.warning(object, 'Stuck', 'no space');
    await recorder.flush();
    expect(told()).toEqual(['Warning Stuck: no space (1002)']);
    const [event] = cluster.peekAll(coreEvents) as [CoreEvent];
    expect(event.firstTimestamp).toBe('2026-11-24T10:00:00Z');
    expect(event.lastTimestamp).toBe('2026-11-24T10:05:00Z');
    expect(await results()).toMatchObject({ created: 1, updated: 1, merged: 1000 });
  });

  test('another message, reason or object is another event', async () => {
    recorder.warning(object, 'Stuck', 'no space');
    recorder.warning(object, 'Stuck', 'no daemon');
    recorder.normal(object, 'Going', 'no space');
    recorder.warning(thing('b', 1, { namespace: 'app' }), 'Stuck', 'no space');
    await recorder.flush();
    expect(told()).toHaveLength(4);
  });

  test('an event that the server has forgotten is made again', async () => {
    recorder.warning(object, 'Stuck', 'no space');
    await recorder.flush();
    const [event] = cluster.peekAll(coreEvents) as [CoreEvent];
    await cluster.delete(coreEvents, { namespace: 'app', name: event.metadata.name });
    await clock.advance(600_000);
    recorder.warning(object, 'Stuck', 'no space');
    await recorder.flush();
    expect(told()).toEqual(['Warning Stuck: no space (2)']);
  });

  test('after an hour of silence a message starts over', async () => {
    recorder.warning(object, 'Stuck', 'no space');
    await clock.advance(3_600_001);
    recorder.warning(object, 'Stuck', 'no space');
    await recorder.flush();
    expect(told()).toEqual(['Warning Stuck: no space (1)', 'Warning Stuck: no space (1)']);
  });

  test('many different messages about one object are cut off, those about others are not', async () => {
    for (let count = 0; count < 100; count++) recorder.warning(object, 'Stuck', `no ${count}`);
    recorder.warning(thing('b', 1, { namespace: 'app' }), 'Stuck', 'no space');
    await recorder.flush();
    expect(told()).toHaveLength(26);
    expect(await results()).toMatchObject({ dropped: 75 });
    await clock.advance(300_000);
    recorder.warning(object, 'Stuck', 'later');
    recorder.warning(object, 'Stuck', 'later still');
    await recorder.flush();
    expect(told()).toHaveLength(27);
  });

  test('keeps a bounded number waiting when the server does not take them', async () => {
    registry = new Registry();
    recorder = createRecorder({ pendingMax: 2, objectBurst: 1000 });
    cluster.onCall = () => {
      throw failure('server-error');
    };
    for (let count = 0; count < 10; count++) recorder.warning(object, 'Stuck', `no ${count}`);
    await clock.advance(60_000);
    expect(await results()).toMatchObject({ dropped: 8, failed: 2 });
  });

  test('tries again when the server fails once', async () => {
    let failures = 1;
    cluster.onCall = () => {
      if (failures-- > 0) throw failure('unreachable');
    };
    recorder.normal(object, 'Fine', 'all is well');
    await clock.advance(5000);
    expect(told()).toEqual(['Normal Fine: all is well (1)']);
  });

  test('lets events of a namespace that is being deleted go, without a second attempt', async () => {
    let calls = 0;
    cluster.onCall = () => {
      calls += 1;
      throw new ApiError('namespace app because it is being terminated', { kind: 'forbidden' });
    };
    recorder.normal(object, 'Fine', 'all is well');
    await clock.advance(60_000);
    expect(calls).toBe(1);
    expect(await results()).toMatchObject({ failed: 1 });
  });

  test('shortens a message that the server would refuse', async () => {
    recorder.warning(object, 'Stuck', 'x'.repeat(5000));
    await recorder.flush();
    const [event] = cluster.peekAll(coreEvents) as [CoreEvent];
    expect(event.message).toHaveLength(1024);
    expect(event.message).toMatch(/\.\.\.$/);
  });

  test('a name of an object that leaves no room is cut', async () => {
    recorder.warning(thing('n'.repeat(253), 1, { namespace: 'app' }), 'Stuck', 'x');
    await recorder.flush();
    const [event] = cluster.peekAll(coreEvents) as [CoreEvent];
    expect(event.metadata.name.length).toBeLessThanOrEqual(253);
  });

  test('destroy() drops what waits, and later records do nothing', async () => {
    cluster.onCall = () => {
      throw failure('server-error');
    };
    recorder.warning(object, 'Stuck', 'a');
    recorder.warning(object, 'Stuck', 'b');
    recorder.destroy();
    recorder.warning(object, 'Stuck', 'c');
    await recorder.flush();
    expect(cluster.written).toEqual([]);
  });
});
