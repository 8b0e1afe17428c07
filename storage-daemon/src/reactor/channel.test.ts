import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { ProblemError } from '@varve/contract/problem';

import { StoreError } from '../store/store-error.ts';
import {
  channelCallsMax,
  noticesTo,
  type OperationTable,
  ReactorChannel,
  serveChannel,
} from './channel.ts';
import type { EventRecord } from './messages.ts';

let port: MessagePort;
let reactorPort: MessagePort;
let channel: ReactorChannel;
let events: EventRecord[];
let lines: unknown[];
let crashed: Promise<unknown>;

beforeEach(() => {
  const { port1, port2 } = new MessageChannel();
  port = port1;
  reactorPort = port2;
  events = [];
  lines = [];
  channel = new ReactorChannel(port, {
    event: (event) => void events.push(event),
    log: (...line) => void lines.push(line),
  });
});

afterEach(() => {
  port.close();
});

/** Answers one operation; the others are not called. */
function serve(operations: Partial<OperationTable>): void {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  crashed = promise;
  serveChannel(reactorPort, operations as OperationTable, resolve);
}

describe('a call', () => {
  test('is answered with a value of its own, whatever the order of answers', async () => {
    const gates = new Map<string, () => void>();
    serve({
      getFilesystem: async ({ id }) => {
        await new Promise<void>((resolve) => gates.set(id, resolve));
        return { state: id === 'a' ? 'blank' : 'ready' };
      },
    });
    const a = channel.call('getFilesystem', { id: 'a' });
    const b = channel.call('getFilesystem', { id: 'b' });
    expect(channel.pendingCount).toBe(2);
    while (gates.size < 2) await new Promise((resolve) => setImmediate(resolve));
    gates.get('b')?.();
    expect(await b).toEqual({ state: 'ready' });
    gates.get('a')?.();
    expect(await a).toEqual({ state: 'blank' });
    expect(channel.pendingCount).toBe(0);
  });

  test('carries a problem with all that it says', async () => {
    serve({
      deleteVolume: () =>
        Promise.reject(new ProblemError('in-use', 'no', { field: 'f', blocker: 'b' })),
    });
    await expect(channel.call('deleteVolume', { id: 'a' })).rejects.toMatchObject({
      name: 'ProblemError',
      kind: 'in-use',
      message: 'no',
      field: 'f',
      blocker: 'b',
    });
  });

  test("carries the store's failures as problems of the same kind", async () => {
    serve({ deleteVolume: () => Promise.reject(new StoreError('data-loss', 'page 7 is bad')) });
    await expect(channel.call('deleteVolume', { id: 'a' })).rejects.toMatchObject({
      name: 'ProblemError',
      kind: 'data-loss',
      message: 'page 7 is bad',
    });
  });

  test('that meets a bug ends the thread, and is not answered', async () => {
    serve({ deleteVolume: () => Promise.reject(new TypeError('x is undefined')) });
    const call = channel.call('deleteVolume', { id: 'a' });
    expect(await crashed).toMatchObject({ message: 'x is undefined' });
    channel.end('the reactor has ended');
    await expect(call).rejects.toMatchObject({ kind: 'unavailable' });
    await expect(channel.call('listPools', undefined)).rejects.toMatchObject({
      kind: 'unavailable',
      message: 'the reactor has ended',
    });
  });

  test('beyond the bound is refused at once', async () => {
    const calls = Array.from({ length: channelCallsMax }, () =>
      channel.call('listPools', undefined),
    );
    await expect(channel.call('listPools', undefined)).rejects.toMatchObject({
      kind: 'too-many-requests',
      retryAfterSeconds: 1,
    });
    serve({ listPools: async () => [] });
    await Promise.all(calls);
    expect(await channel.call('listPools', undefined)).toEqual([]);
  });
});

test('notices arrive in order with the answers', async () => {
  const notices = noticesTo(reactorPort);
  serve({
    listPools: async () => {
      notices.event({ type: 'pool-opened', object: 'pool/a', message: 'The pool serves.' });
      notices.log('warn', 'hm', { pool: 'a' });
      return [];
    },
  });
  await channel.call('listPools', undefined);
  expect(events).toEqual([{ type: 'pool-opened', object: 'pool/a', message: 'The pool serves.' }]);
  expect(lines).toEqual([['warn', 'hm', { pool: 'a' }]]);
});
