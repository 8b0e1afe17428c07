/** A wrong token: refused by the daemon, explained by the operator, and mended by correcting the Secret. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { problemDetailsSchema } from '@varve/contract/problem';
import { freePorts } from '../clusters/free-port.ts';
import { sendRaw } from '../product/raw-http.ts';
import { StorageDaemon } from '../product/storage-daemon.ts';
import type { Site } from '../product/site.ts';
import type { EndToEndTest } from '../runner/end-to-end-test.ts';

const gibibyte = 2 ** 30;
const token = 'the-right-token-of-the-second-daemon';
const secretName = 'second-credentials';
const daemonName = 'bad-credentials-second';

/** A daemon on TCP with a bearer token. */
export const badCredentialsTest: EndToEndTest = {
  name: 'bad-credentials',
  summary: 'a wrong token is refused, the StorageDaemon says so, and a corrected Secret mends it',
  clusters: ['embedded', 'real'],
  programs: [],
  poolBytes: gibibyte,
  timeoutMs: 180_000,
  run: async (site) => {
    const directory = join(site.directory, 'second');
    mkdirSync(directory);
    const tokenFile = join(directory, 'token');
    writeFileSync(tokenFile, `${token}\n`, { mode: 0o600 });
    const [port = 0] = await freePorts(1);
    const second = new StorageDaemon({
      name: daemonName,
      directory,
      poolBytes: gibibyte,
      tcp: { port, tokenFile },
    });
    await second.start();
    try {
      await second.createPool();
      await expectUnauthenticated(site, port);
      await expectExplainedAndMended(site, port);
    } finally {
      await site.kubectl.try(['delete', 'storagedaemon', daemonName, '--timeout=60s']);
      await second.stop();
    }
  },
};

async function expectUnauthenticated(site: Site, port: number): Promise<void> {
  const attempts: readonly (readonly [string, Record<string, string>])[] = [
    ['no token', {}],
    ['a wrong token', { authorization: 'Bearer wrong' }],
    ['a password instead of a token', { authorization: `Basic ${btoa(`admin:${token}`)}` }],
  ];
  for (const [what, headers] of attempts) {
    const answer = await sendRaw({ port }, { method: 'GET', path: '/v1/volumes', headers });
    const problem = problemDetailsSchema.parse(JSON.parse(answer.text));
    assert.equal(problem.kind, 'unauthenticated', answer.text);
    assert.ok(!answer.text.includes(token), 'the answer does not give the token away');
    site.note(`${what}: ${answer.status} ${problem.kind}: ${problem.detail}`);
  }
  const headers = { authorization: `Bearer ${token}` };
  const right = await sendRaw({ port }, { method: 'GET', path: '/v1/volumes', headers });
  assert.equal(right.status, 200, 'the right token is accepted');
}

async function expectExplainedAndMended(site: Site, port: number): Promise<void> {
  const { kubectl } = site;
  await kubectl.apply([secret(site, 'wrong'), daemonObject(site, port)]);
  await kubectl.wait(`storagedaemon/${daemonName}`, 'condition=Ready=False');
  const described = await kubectl.run(['describe', 'storagedaemon', daemonName]);
  assert.match(described, /unauthenticated|token|credential/i, 'describe explains');
  assert.ok(!described.includes(token), 'describe does not show the token');
  const listed = await kubectl.run(['get', 'storagedaemon', daemonName, '-o', 'wide']);
  for (const line of listed.trimEnd().split('\n')) site.note(line);

  await kubectl.apply([secret(site, token)]);
  await kubectl.wait(`storagedaemon/${daemonName}`, 'condition=Ready=True', 90);
}

function secret(site: Site, value: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: secretName, namespace: site.kubectl.namespace },
    stringData: { token: value },
  };
}

function daemonObject(site: Site, port: number): object {
  return {
    apiVersion: 'varve.dev/v1alpha1',
    kind: 'StorageDaemon',
    metadata: { name: daemonName },
    spec: {
      endpoint: `http://127.0.0.1:${port}`,
      credentials: { secretRef: { name: secretName, namespace: site.kubectl.namespace } },
    },
  };
}
