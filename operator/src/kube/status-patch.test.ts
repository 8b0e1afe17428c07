import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { testParts, things } from '../testing/machinery.ts';
import type { TestParts } from '../testing/machinery.ts';
import { ScriptedApiServer, thing } from '../testing/scripted-api-server.ts';
import { changeFinalizers } from './finalizer.ts';
import type { Condition } from './kubernetes-object.ts';
import { mergePatchBetween, patchStatus, withConditions } from './status-patch.ts';

const context = { nowMs: Date.UTC(2026, 10, 2, 3, 4, 5, 678), generation: 7 };
const ready: Condition = {
  type: 'Ready',
  status: 'True',
  reason: 'Fine',
  message: 'all is well',
  lastTransitionTime: '2026-01-01T00:00:00Z',
  observedGeneration: 6,
};

describe('withConditions()', () => {
  test('adds a condition with the time of now and the generation that was looked at', () => {
    const { lastTransitionTime: _time, observedGeneration: _generation, ...state } = ready;
    expect(withConditions(undefined, [state], context)).toEqual([
      { ...state, lastTransitionTime: '2026-11-02T03:04:05Z', observedGeneration: 7 },
    ]);
  });

  test('keeps the transition time while the status stays, whatever the message says', () => {
    const change = { type: 'Ready', status: 'True', reason: 'Fine', message: 'better' } as const;
    expect(withConditions([ready], [change], context)).toEqual([
      { ...ready, message: 'better', observedGeneration: 7 },
    ]);
  });

  test('moves the transition time when the status changes', () => {
    const change = { type: 'Ready', status: 'False', reason: 'Gone', message: '' } as const;
    const [condition] = withConditions([ready], [change], context);
    expect(condition?.lastTransitionTime).toBe('2026-11-02T03:04:05Z');
  });

  test('leaves the conditions of others where and as they are', () => {
    const foreign = { ...ready, type: 'Foreign' };
    const change = { type: 'Ready', status: 'True', reason: 'Fine', message: 'x' } as const;
    const conditions = withConditions([foreign, ready], [change], context);
    expect(conditions.map(({ type }) => type)).toEqual(['Foreign', 'Ready']);
    expect(conditions[0]).toBe(foreign);
  });
});

describe('mergePatchBetween()', () => {
  test.each([
    ['nothing differs', { a: 1, b: [1, { c: 2 }] }, { a: 1, b: [1, { c: 2 }] }, undefined],
    ['a field that desired leaves out is untouched', { a: 1, b: 2 }, { a: 1 }, undefined],
    ['undefined is left out', { a: 1 }, { a: undefined }, undefined],
    ['null deletes what is there', { a: 1 }, { a: null }, { a: null }],
    ['null for what is absent is no change', {}, { a: null }, undefined],
    [
      'records are compared member by member',
      { a: { b: 1, c: 2 } },
      { a: { c: 3 } },
      { a: { c: 3 } },
    ],
    ['lists are replaced whole', { a: [1, 2] }, { a: [1] }, { a: [1] }],
    ['there is no status yet', undefined, { a: 1 }, { a: 1 }],
    ['false and 0 are values', { a: true, b: 1 }, { a: false, b: 0 }, { a: false, b: 0 }],
  ])('%s', (_what, held, desired, patch) => {
    expect(mergePatchBetween(held, desired)).toEqual(patch);
  });
});

describe('writes', () => {
  let server: ScriptedApiServer;
  let parts: TestParts;

  beforeEach(async () => {
    server = await ScriptedApiServer.start();
    parts = testParts(server);
  });

  afterEach(async () => {
    await parts.connection.close();
    await server.stop();
  });

  test('patchStatus() sends what differs to the status, guarded by the version', async () => {
    const object = thing('a', 4, { status: { a: 1, b: 2 } });
    const patching = patchStatus(parts.client, things, object, { a: 1, b: 3 });
    const request = await server.next();
    expect(`${request.method} ${request.path}`).toBe('PATCH /apis/example.dev/v1/things/a/status');
    expect(request.headers['content-type']).toBe('application/merge-patch+json');
    expect(request.body).toEqual({ metadata: { resourceVersion: '4' }, status: { b: 3 } });
    request.json(200, thing('a', 5));
    expect((await patching).metadata.resourceVersion).toBe('5');
  });

  test('patchStatus() sends nothing when nothing differs', async () => {
    const object = thing('a', 4, { status: { a: 1 } });
    expect(await patchStatus(parts.client, things, object, { a: 1 })).toBe(object);
    expect(server.socketCount).toBe(0);
  });

  test('changeFinalizers() sends the whole list, guarded by the version', async () => {
    const object = thing('a', 4);
    const held = { ...object, metadata: { ...object.metadata, finalizers: ['x/one', 'x/two'] } };
    const changing = changeFinalizers(parts.client, things, held, {
      add: ['x/three', 'x/two'],
      remove: ['x/one'],
    });
    const request = await server.next();
    expect(request.body).toEqual({
      metadata: { resourceVersion: '4', finalizers: ['x/two', 'x/three'] },
    });
    request.fail(409, 'Conflict', 'the object has been modified');
    await expect(changing).rejects.toMatchObject({ kind: 'conflict' });
  });

  test('changeFinalizers() sends nothing when nothing changes, and takes "gone" for an answer', async () => {
    const object = thing('a', 4);
    expect(await changeFinalizers(parts.client, things, object, { remove: ['x/one'] })).toBe(
      object,
    );
    const changing = changeFinalizers(parts.client, things, object, { add: ['x/one'] });
    (await server.next()).fail(404, 'NotFound');
    expect(await changing).toBeUndefined();
  });
});
