/** Grants of hosts over HTTP: names in paths, restarts, and where keys must not show. */
import { Writable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { createLogger } from '@varve/common/logger';

import { rawRequest } from '../testing/raw-request.ts';
import { TestDaemon } from '../testing/test-daemon.ts';

const hostNqn = 'nqn.2014-08.org.nvmexpress:uuid:00000000-0000-0000-0000-00000000000a';
const otherNqn = `nqn.2026-11.com.example:${'a/b?c#d%20'.padEnd(199, '!')}`;
const hostKey = 'DHHC-1:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:';
const controllerKey = 'DHHC-1:01:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:';

let daemon: TestDaemon;
let log = '';

beforeAll(async () => {
  const write = (chunk: Buffer, _: string, done: () => void): void => {
    log += chunk.toString();
    done();
  };
  const logger = createLogger({ name: 'test', level: 'trace', stream: new Writable({ write }) });
  daemon = await TestDaemon.start({ logger });
  await daemon.createPool();
  await daemon.client.putVolume('a', { pool: 'pool-1', sizeBytes: 1024 * 1024 });
});

afterAll(async () => {
  await daemon.end();
});

test('a grant survives a restart, keys included, and no log line holds one', async () => {
  const grant = { volume: 'a', hostNqn };
  const made = await daemon.client.putHost(grant, { hostKey, controllerKey });
  await expect(
    daemon.client.putHost(grant, { hostKey: hostKey.replace('ia6z', 'ja6z') }),
  ).rejects.toMatchObject({ kind: 'invalid-argument', field: 'hostKey' });
  await daemon.restart();
  expect(await daemon.client.getHost(grant)).toEqual(made);
  expect(await daemon.scrape()).toContain('varve_host_grants 1\n');
  const refused = daemon.client.putHost({ volume: 'a', hostNqn: otherNqn });
  await expect(refused).rejects.toMatchObject({ kind: 'in-use', blocker: `host/${hostNqn}` });
  await daemon.client.deleteHost(grant);
  expect(log).toContain('/v1/volumes/a/hosts/');
  expect(log).not.toMatch(/[ij]a6z/);
});

test('a name of the greatest length, with anything that a path escapes, finds its grant', async () => {
  const grant = { volume: 'a', hostNqn: otherNqn };
  expect(otherNqn).toHaveLength(223);
  await daemon.client.putHost(grant);
  expect(await daemon.client.getHost(grant)).toMatchObject({ hostNqn: otherNqn });
  expect((await daemon.client.listHosts('a')).items).toHaveLength(1);
  await daemon.client.deleteHost(grant);
  expect((await daemon.client.listHosts('a')).items).toHaveLength(0);
});

test.each([
  ['no NQN', 'host-1', 'must be an NQN like'],
  ['one character more than allowed', `nqn.2026-11.com.example:${'h'.repeat(200)}`, '223'],
  ['no UUID', 'nqn.2014-08.org.nvmexpress:uuid:1', 'must have a UUID after'],
])('a name that is %s is refused and named', async (_, name, sentence) => {
  const answer = await rawRequest(daemon.daemon.endpoints[0]!, {
    method: 'PUT',
    path: `/v1/volumes/a/hosts/${encodeURIComponent(name)}`,
    headers: { 'content-type': 'application/json' },
    body: '{}',
  });
  expect(answer.json).toMatchObject({
    status: 400,
    field: 'hostNqn',
    detail: expect.stringContaining(sentence),
  });
});
