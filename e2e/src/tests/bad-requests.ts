/** What the daemon's REST API answers to requests that it must refuse: one clear sentence each, and nothing is lost. */
import assert from 'node:assert/strict';
import { problemDetailsSchema, type ProblemKind } from '@varve/contract/problem';
import { exportUri, qemuIoOk } from '../product/nbd-clients.ts';
import { sendRaw, type RawRequest, type RawTarget } from '../product/raw-http.ts';
import type { EndToEndTest } from '../runner/end-to-end-test.ts';
import type { Site } from '../product/site.ts';

const gibibyte = 2 ** 30;
const mebibyte = 2 ** 20;

interface BadRequest extends RawRequest {
  readonly what: string;
  readonly kind: ProblemKind;
  /** What the sentence must mention. */
  readonly mentions: readonly string[];
}

/** Malformed bodies, unknown fields, wrong sizes, conflicts: through the daemon's socket. */
export const badRequestsTest: EndToEndTest = {
  name: 'bad-requests',
  summary: 'the REST API answers each bad request with one clear sentence, and nothing is lost',
  clusters: ['embedded', 'real'],
  programs: ['qemu-io'],
  poolBytes: gibibyte,
  timeoutMs: 120_000,
  run: async (site) => {
    const target = { socketPath: site.daemon.controlSocket };
    const { client } = site.daemon;
    await client.putVolume('kept', { pool: 'pool', sizeBytes: 64 * mebibyte });
    const uri = exportUri(site.daemon.nbdSocket, 'volume/kept');
    await qemuIoOk(uri, ['write -P 7 0 1M', 'flush']);
    await client.putSnapshot('kept-snapshot', { volume: 'kept' });
    const before = await site.daemon.content();

    for (const call of badRequests) await expectRefused(site, target, call);

    assert.deepEqual(await site.daemon.content(), before, 'nothing was made or lost');
    await qemuIoOk(uri, ['read -P 7 0 1M']);
    await client.deleteSnapshot('kept-snapshot');
    await site.daemon.deleteVolumes('kept');
  },
};

const sized = (sizeBytes: unknown, more: object = {}): string =>
  JSON.stringify({ pool: 'pool', sizeBytes, ...more });

const badRequests: readonly BadRequest[] = [
  {
    what: 'a body that is not JSON',
    method: 'PUT',
    path: '/v1/volumes/new',
    body: '{"pool": "pool", ',
    kind: 'invalid-argument',
    mentions: ['JSON'],
  },
  {
    what: 'a body that is not an object',
    method: 'PUT',
    path: '/v1/volumes/new',
    body: '[1, 2]',
    kind: 'invalid-argument',
    mentions: ['object'],
  },
  {
    what: 'no body',
    method: 'PUT',
    path: '/v1/volumes/new',
    kind: 'invalid-argument',
    mentions: [],
  },
  {
    what: 'an unknown field',
    method: 'PUT',
    path: '/v1/volumes/new',
    body: sized(mebibyte, { replicas: 3 }),
    kind: 'invalid-argument',
    mentions: ['replicas'],
  },
  {
    what: 'a size that is text',
    method: 'PUT',
    path: '/v1/volumes/new',
    body: sized('1Gi'),
    kind: 'invalid-argument',
    mentions: ['sizeBytes'],
  },
  {
    what: 'a negative size',
    method: 'PUT',
    path: '/v1/volumes/new',
    body: sized(-1),
    kind: 'invalid-argument',
    mentions: ['sizeBytes'],
  },
  {
    what: 'a size beyond the limit',
    method: 'PUT',
    path: '/v1/volumes/new',
    body: sized(2 ** 50),
    kind: 'out-of-range',
    mentions: ['sizeBytes'],
  },
  {
    what: 'an id with a slash',
    method: 'PUT',
    path: '/v1/volumes/a%2Fb',
    body: sized(mebibyte),
    kind: 'invalid-argument',
    mentions: ['volume'],
  },
  {
    what: 'a pool that does not exist',
    method: 'PUT',
    path: '/v1/volumes/new',
    body: JSON.stringify({ pool: 'nowhere', sizeBytes: mebibyte }),
    kind: 'not-found',
    mentions: ['nowhere'],
  },
  {
    what: 'two sources',
    method: 'PUT',
    path: '/v1/volumes/new',
    body: sized(64 * mebibyte, { source: { snapshot: 'kept-snapshot', volume: 'kept' } }),
    kind: 'invalid-argument',
    mentions: ['source'],
  },
  {
    what: 'a source that does not exist',
    method: 'PUT',
    path: '/v1/volumes/new',
    body: sized(64 * mebibyte, { source: { snapshot: 'gone' } }),
    kind: 'not-found',
    mentions: ['gone'],
  },
  {
    what: 'a restore smaller than the snapshot',
    method: 'PUT',
    path: '/v1/volumes/new',
    body: sized(32 * mebibyte, { source: { snapshot: 'kept-snapshot' } }),
    kind: 'out-of-range',
    mentions: ['kept-snapshot'],
  },
  {
    what: 'the same id with another size',
    method: 'PUT',
    path: '/v1/volumes/kept',
    body: sized(128 * mebibyte),
    kind: 'already-exists',
    mentions: ['sizeBytes'],
  },
  {
    what: 'a shrink',
    method: 'PATCH',
    path: '/v1/volumes/kept',
    body: JSON.stringify({ sizeBytes: mebibyte }),
    kind: 'out-of-range',
    mentions: ['sizeBytes'],
  },
  {
    what: 'a change of a volume that does not exist',
    method: 'PATCH',
    path: '/v1/volumes/gone',
    body: JSON.stringify({ sizeBytes: mebibyte }),
    kind: 'not-found',
    mentions: ['gone'],
  },
  {
    what: 'a snapshot of a volume that does not exist',
    method: 'PUT',
    path: '/v1/snapshots/new',
    body: JSON.stringify({ volume: 'gone' }),
    kind: 'not-found',
    mentions: ['gone'],
  },
  {
    what: 'a lock that ends at no time',
    method: 'PUT',
    path: '/v1/snapshots/new',
    body: JSON.stringify({ volume: 'kept', lockedUntil: 'tomorrow' }),
    kind: 'invalid-argument',
    mentions: ['lockedUntil'],
  },
  {
    what: 'a revert to a snapshot that does not exist',
    method: 'PUT',
    path: '/v1/volumes/kept/reverts/r1',
    body: JSON.stringify({ snapshot: 'gone' }),
    kind: 'not-found',
    mentions: ['gone'],
  },
  {
    what: 'a query parameter that does not exist',
    method: 'GET',
    path: '/v1/volumes?colour=blue',
    kind: 'invalid-argument',
    mentions: ['colour'],
  },
  {
    what: 'a route that does not exist',
    method: 'GET',
    path: '/v1/shares',
    kind: 'not-found',
    mentions: ['/v1/shares'],
  },
];

async function expectRefused(site: Site, target: RawTarget, call: BadRequest): Promise<void> {
  const answer = await sendRaw(target, call);
  const where = `${call.what} (${call.method} ${call.path}): ${answer.status} ${answer.text}`;
  assert.match(answer.contentType, /^application\/problem\+json/, where);
  const problem = problemDetailsSchema.parse(JSON.parse(answer.text));
  assert.equal(problem.kind, call.kind, where);
  assert.equal(problem.status, answer.status, where);
  const said = `${problem.field ?? ''} ${problem.detail}`;
  for (const word of call.mentions) assert.ok(said.includes(word), `mentions "${word}": ${where}`);
  site.note(`${call.what}: ${answer.status} ${problem.kind}: ${problem.detail}`);
}
