/** The daemon as a whole: events, metrics, stopping, and the end after a bug. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { createLogger } from '@varve/common/logger';
import type { Event } from '@varve/contract/event';

import { rawRequest } from './testing/raw-request.ts';
import { TestDaemon } from './testing/test-daemon.ts';

const mebibyte = 1024 * 1024;
let daemon: TestDaemon;

beforeEach(async () => {
  daemon = await TestDaemon.start();
  await daemon.createPool();
});

afterEach(async () => {
  await daemon.end();
});

async function take(stream: AsyncGenerator<Event>, count: number): Promise<Event[]> {
  const events: Event[] = [];
  for await (const event of stream) if (events.push(event) === count) break;
  return events;
}

describe('events', () => {
  test('tell what happened, numbered without gaps', async () => {
    const stream = await daemon.openEvents();
    await daemon.client.putVolume('a', { pool: 'pool-1', sizeBytes: mebibyte });
    await daemon.client.putSnapshot('s', { volume: 'a' });
    await daemon.client.putSnapshot('s', { volume: 'a' });
    await daemon.client.putRevert({ volume: 'a', revert: 'r' }, { snapshot: 's' });
    await daemon.client.patchVolume('a', { labels: { app: 'db' } });
    await daemon.client.deleteSnapshot('s');
    await daemon.client.deleteVolume('a');
    const events = await take(stream, 6);
    expect(events.map(({ type, object }) => `${type} ${object}`)).toEqual([
      'volume-created volume/a',
      'snapshot-created snapshot/s',
      'volume-reverted volume/a',
      'volume-changed volume/a',
      'snapshot-deleted snapshot/s',
      'volume-deleted volume/a',
    ]);
    const numbers = events.map(({ sequence }) => sequence);
    expect(numbers).toEqual(numbers.map((_, index) => numbers[0]! + index));
  });

  test('end when the daemon stops, which does not wait for them', async () => {
    const stream = await daemon.openEvents();
    await daemon.stop();
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });
});

describe('metrics', () => {
  test('show pools, objects, store, requests and exports', async () => {
    await daemon.client.putVolume('a', { pool: 'pool-1', sizeBytes: 3 * mebibyte });
    await daemon.client.putSnapshot('s', { volume: 'a' });
    await daemon.client.getVolume('x').catch(() => undefined);
    const text = await daemon.scrape();
    for (const line of [
      `varve_pool_bytes{pool="pool-1",state="provisioned"} ${3 * mebibyte}`,
      'varve_pool_condition{pool="pool-1",condition="Writable"} 1',
      'varve_objects{pool="pool-1",kind="volume"} 1',
      'varve_objects{pool="pool-1",kind="snapshot"} 1',
      'varve_store_checkpoints_total{pool="pool-1"} 0',
      'varve_export_connections 0',
      'varve_export_requests_total{kind="volume",operation="read",result="ok"} 0',
      'varve_http_request_seconds_count{method="PUT",route="/v1/volumes/:volume",status="201"} 1',
      'varve_http_request_seconds_count{method="GET",route="/v1/volumes/:volume",status="404"} 1',
      'varve_build_info{version="0.1.0"} 1',
    ]) {
      expect(text).toContain(`${line}\n`);
    }
    expect(text).toMatch(/^process_cpu_seconds_total /m);
  });

  test('do not grow with what clients make up', async () => {
    for (const path of ['/made-up-1', '/made-up-2']) {
      await rawRequest(daemon.daemon.endpoints[0]!, { method: 'GET', path });
    }
    expect(await daemon.scrape()).not.toContain('made-up');
  });
});

describe('close()', () => {
  test('finishes calls under way, removes the socket, and may be called twice', async () => {
    const calls = Array.from({ length: 20 }, (_, index) =>
      daemon.client.putVolume(`v${index}`, { pool: 'pool-1', sizeBytes: mebibyte }),
    );
    await calls[0];
    const running = daemon.daemon;
    const [answers] = await Promise.all([
      Promise.allSettled(calls),
      running.close(),
      running.close(),
    ]);
    for (const answer of answers) {
      if (answer.status === 'rejected')
        expect(answer.reason).toMatchObject({ kind: 'unavailable' });
    }
    const socket = join(daemon.folder, 'state', 'daemon.sock');
    expect(statSync(socket, { throwIfNoEntry: false })).toBeUndefined();
  });
});

describe('the I/O engine', () => {
  test.each(['auto', 'fs'] as const)('%s is told with its reason', async (ioEngine) => {
    const lines: string[] = [];
    const stream = { write: (line: string) => void lines.push(line) };
    const chosen = await TestDaemon.start({
      config: { ioEngine },
      logger: createLogger({ name: 'test', stream }),
    });
    const { reactors } = await chosen.client.getInfo();
    const [reactor] = reactors;
    if (ioEngine === 'fs') {
      expect(reactor).toMatchObject({ ioEngine, ioEngineReason: 'the setting asks for it' });
    }
    expect(await chosen.scrape()).toContain(`varve_io_engine{engine="${reactor?.ioEngine}"} 1\n`);
    const logged = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(logged).toContainEqual(
      expect.objectContaining({
        msg: 'I/O engine chosen',
        ioEngine: reactor?.ioEngine,
        reason: reactor?.ioEngineReason,
      }),
    );
    await chosen.end();
  });

  test('of a pool may change from one start to the next', async () => {
    await daemon.client.putVolume('a', { pool: 'pool-1', sizeBytes: mebibyte });
    await daemon.restart({ ioEngine: 'fs' });
    await daemon.client.putSnapshot('s', { volume: 'a' });
    await daemon.restart({ ioEngine: 'auto' });
    expect(await daemon.client.getSnapshot('s')).toMatchObject({ volume: 'a' });
  });
});

describe('a bug of ours', () => {
  test('in the reactor ends the process at once', async () => {
    const code = `
      import { parentPort } from 'node:worker_threads';
      parentPort.on('message', ({ callId, operation }) => {
        if (operation !== 'start') throw new Error('block 7 is free');
        const value = { exports: [], ioEngine: 'fs', ioEngineReason: '' };
        parentPort.postMessage({ type: 'reply', callId, value });
      });`;
    const reactorEntry = new URL(`data:text/javascript,${encodeURIComponent(code)}`);
    const { promise, resolve } = Promise.withResolvers<unknown>();
    const broken = await TestDaemon.start({ reactorEntry, onCrash: resolve });
    await expect(broken.client.listPools()).rejects.toMatchObject({ kind: 'unavailable' });
    expect(await promise).toMatchObject({ message: 'block 7 is free' });
    await broken.end();
  });
});
