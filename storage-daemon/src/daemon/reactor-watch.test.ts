import { Writable } from 'node:stream';
import { MessageChannel } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { createLogger } from '@varve/common/logger';
import { ManualClock } from '@varve/common/testing/manual-clock';

import { ReactorChannel } from '../reactor/channel.ts';
import type { CallMessage } from '../reactor/messages.ts';
import { DaemonMetrics } from './daemon-metrics.ts';
import { ReactorWatch } from './reactor-watch.ts';

let clock: ManualClock;
let calls: CallMessage[];
let lines: string[];
let ports: MessageChannel;
let watch: ReactorWatch;

beforeEach(() => {
  clock = new ManualClock();
  calls = [];
  lines = [];
  ports = new MessageChannel();
  ports.port2.on('message', (message: CallMessage) => calls.push(message));
  const notices = { event: () => undefined, log: () => undefined };
  const channel = new ReactorChannel(ports.port1, notices);
  const write = (chunk: Buffer, _: unknown, done: () => void): void => {
    lines.push(chunk.toString());
    done();
  };
  const logger = createLogger({ name: 'test', stream: new Writable({ write }) });
  watch = new ReactorWatch({ channel, metrics: new DaemonMetrics('1'), clock, logger });
  watch.start();
});

afterEach(() => {
  watch.stop();
  ports.port1.close();
});

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
}

async function answer(): Promise<void> {
  await until(() => calls.length > 0);
  const { callId } = calls.shift()!;
  ports.port2.postMessage({ type: 'reply', callId, value: {} });
  // The alarm of the question is gone, the pause before the next one has begun.
  await until(() => clock.timerCount === 1);
}

describe('ReactorWatch', () => {
  test('asks again some seconds after each answer', async () => {
    await answer();
    await clock.advance(4999);
    expect(calls).toHaveLength(0);
    await clock.advance(1);
    await answer();
    expect(lines).toEqual([]);
  });

  test('reports a reactor that does not answer, once for each question', async () => {
    await until(() => calls.length > 0);
    await clock.advance(9999);
    expect(lines).toEqual([]);
    await clock.advance(1);
    await clock.advance(60_000);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('the reactor does not answer');
    expect(calls).toHaveLength(1);
    await answer();
  });
});
