/** What people get wrong, and the one sentence that each gets. */
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import type { ProblemDetails } from '@varve/contract/problem';

import { rawRequest, type RawRequest } from '../testing/raw-request.ts';
import { TestDaemon } from '../testing/test-daemon.ts';

const json = { 'content-type': 'application/json' };
const mebibyte = 1024 * 1024;

let daemon: TestDaemon;

beforeAll(async () => {
  daemon = await TestDaemon.start();
  await daemon.createPool();
  await daemon.client.putVolume('a', { pool: 'pool-1', sizeBytes: 64 * mebibyte });
  await daemon.client.putSnapshot('s', { volume: 'a' });
});

afterAll(async () => {
  await daemon.end();
});

async function problemOf(request: RawRequest): Promise<ProblemDetails> {
  const answer = await rawRequest(daemon.daemon.endpoints[0]!, request);
  expect(answer.contentType).toMatch(/^application\/problem\+json/);
  const details = answer.json as ProblemDetails;
  expect(details.status).toBe(answer.status);
  expect(details.detail).not.toContain('\n');
  return details;
}

function put(path: string, body: string): RawRequest {
  return { method: 'PUT', path, headers: json, body };
}

function putVolume(body: object): RawRequest {
  const defaults = { pool: 'pool-1', sizeBytes: 64 * mebibyte };
  return put('/v1/volumes/b', JSON.stringify({ ...defaults, ...body }));
}

const longId = 'x'.repeat(101);

describe('bad input', () => {
  test.each<[string, RawRequest, Partial<ProblemDetails>]>([
    [
      'malformed JSON',
      put('/v1/volumes/b', '{"pool": }'),
      {
        kind: 'invalid-argument',
        detail: `Reading the body failed: it is no JSON: Unexpected token '}', "{"pool": }" is not valid JSON`,
      },
    ],
    [
      'an empty body',
      put('/v1/volumes/b', ''),
      {
        kind: 'invalid-argument',
        detail: 'Reading the body failed: it is empty; a JSON object is expected',
      },
    ],
    [
      'no body',
      { method: 'PUT', path: '/v1/volumes/b' },
      {
        kind: 'invalid-argument',
        detail: 'Reading the body failed: expected object, received null',
      },
    ],
    [
      'a body of another content type',
      { ...put('/v1/volumes/b', 'pool: x'), headers: { 'content-type': 'application/yaml' } },
      {
        kind: 'invalid-argument',
        detail: 'Reading the body failed: its content type must be application/json',
      },
    ],
    [
      'a body that is too long',
      put('/v1/volumes/b', JSON.stringify({ pool: 'x'.repeat(300_000) })),
      {
        kind: 'invalid-argument',
        detail: 'Reading the body failed: it is longer than 262144 bytes',
      },
    ],
    [
      'a body that is a list',
      put('/v1/volumes/b', '[]'),
      {
        kind: 'invalid-argument',
        detail: 'Reading the body failed: expected object, received array',
      },
    ],
    [
      'a body with a key that attacks prototypes',
      put('/v1/volumes/b', '{"__proto__": {"pool": "x"}}'),
      { kind: 'invalid-argument' },
    ],
    [
      'an unknown field',
      putVolume({ size: 1 }),
      {
        kind: 'invalid-argument',
        field: 'size',
        detail:
          'Reading the body failed: unknown field "size"; allowed are pool, sizeBytes, source, labels, limits',
      },
    ],
    [
      'an unknown field inside',
      putVolume({ limits: { iops: 5 } }),
      {
        kind: 'invalid-argument',
        field: 'limits.iops',
        detail:
          'Reading the body failed: limits: unknown field "iops"; allowed are readIops, writeIops, ' +
          'readBytesPerSecond, writeBytesPerSecond',
      },
    ],
    [
      'a wrong type',
      putVolume({ sizeBytes: '256Mi' }),
      {
        kind: 'invalid-argument',
        field: 'sizeBytes',
        detail: 'Reading the body failed: sizeBytes: expected number, received string',
      },
    ],
    [
      'a fraction of a byte',
      putVolume({ sizeBytes: 1.5 }),
      { kind: 'invalid-argument', field: 'sizeBytes' },
    ],
    [
      'a size of nothing',
      putVolume({ sizeBytes: 0 }),
      { kind: 'invalid-argument', field: 'sizeBytes' },
    ],
    [
      'a negative size',
      putVolume({ sizeBytes: -1 }),
      { kind: 'invalid-argument', field: 'sizeBytes' },
    ],
    [
      'a size beyond safe integers',
      putVolume({ sizeBytes: 2 ** 60 }),
      { kind: 'invalid-argument', field: 'sizeBytes' },
    ],
    [
      'a size beyond the largest volume',
      putVolume({ sizeBytes: 2 ** 50 }),
      { kind: 'out-of-range', field: 'sizeBytes' },
    ],
    [
      'a missing field',
      put('/v1/volumes/b', '{"sizeBytes": 1}'),
      {
        kind: 'invalid-argument',
        field: 'pool',
        detail: 'Reading the body failed: pool: expected string, received undefined',
      },
    ],
    [
      'two sources',
      putVolume({ source: { snapshot: 's', volume: 'a' } }),
      {
        kind: 'invalid-argument',
        field: 'source',
        detail: 'Reading the body failed: source: must name either a snapshot or a volume',
      },
    ],
    [
      'a smaller restore',
      putVolume({ source: { snapshot: 's' }, sizeBytes: 63 * mebibyte }),
      {
        kind: 'out-of-range',
        status: 422,
        field: 'sizeBytes',
        detail:
          'Creating volume "b" with 66060288 bytes failed: snapshot "s" has 67108864; ' +
          'a volume made from it must not be smaller',
      },
    ],
    [
      'an id that is too long',
      { method: 'GET', path: `/v1/volumes/${longId}` },
      {
        kind: 'invalid-argument',
        field: 'volume',
        detail:
          'Reading the path failed: volume: Too big: expected string to have <=100 characters',
      },
    ],
    [
      'an id of other characters',
      { method: 'GET', path: '/v1/volumes/PVC_1' },
      {
        kind: 'invalid-argument',
        field: 'volume',
        detail:
          "Reading the path failed: volume: must consist of a-z, 0-9, '-' and '.', and start and end with a letter or digit",
      },
    ],
    [
      'an id that climbs',
      { method: 'GET', path: '/v1/volumes/..%2Fx' },
      { kind: 'invalid-argument', field: 'volume' },
    ],
    [
      'an escape that is none',
      { method: 'GET', path: '/v1/volumes/%zz' },
      { kind: 'invalid-argument' },
    ],
    ['a label key with spaces', putVolume({ labels: { 'a b': '' } }), { kind: 'invalid-argument' }],
    [
      'a label that is no string',
      putVolume({ labels: { a: 1 } }),
      { kind: 'invalid-argument', field: 'labels.a' },
    ],
    [
      'labels that are too many',
      putVolume({
        labels: Object.fromEntries(Array.from({ length: 33 }, (_, at) => [`k${at}`, ''])),
      }),
      {
        kind: 'invalid-argument',
        field: 'labels',
        detail: 'Reading the body failed: labels: must not have more than 32 labels',
      },
    ],
    [
      'a limit of nothing',
      putVolume({ limits: { readIops: 0 } }),
      { kind: 'invalid-argument', field: 'limits.readIops' },
    ],
    [
      'a lock that is no time',
      put('/v1/snapshots/t', '{"volume": "a", "lockedUntil": "tomorrow"}'),
      { kind: 'invalid-argument', field: 'lockedUntil' },
    ],
    [
      'a file system type without a state',
      put('/v1/volumes/a/filesystem', '{"type": "ext4"}'),
      { kind: 'invalid-argument', field: 'state' },
    ],
    [
      'a file system that we do not make',
      put('/v1/volumes/a/filesystem', '{"state": "formatting", "type": "ntfs"}'),
      { kind: 'invalid-argument', field: 'type' },
    ],
    [
      'a state without its type',
      put('/v1/volumes/a/filesystem', '{"state": "formatting"}'),
      { kind: 'invalid-argument', field: 'type' },
    ],
    [
      'a page of nothing',
      { method: 'GET', path: '/v1/volumes?limit=0' },
      { kind: 'invalid-argument', field: 'limit' },
    ],
    [
      'a page that is too long',
      { method: 'GET', path: '/v1/volumes?limit=1001' },
      { kind: 'invalid-argument', field: 'limit' },
    ],
    [
      'a label filter without key',
      { method: 'GET', path: '/v1/volumes?label==x' },
      { kind: 'invalid-argument', field: 'label' },
    ],
    [
      'ids of nothing',
      { method: 'POST', path: '/v1/snapshots:reclaimable', headers: json, body: '{"ids": []}' },
      { kind: 'invalid-argument', field: 'ids' },
    ],
    [
      'a relative device path',
      put('/v1/pools/p', '{"devices": [{"path": "x.img"}]}'),
      { kind: 'invalid-argument', field: 'devices.0.path' },
    ],
    [
      'a pool that is too small',
      put(
        '/v1/pools/p',
        JSON.stringify({ devices: [{ path: '/tmp/varve-too-small.img', sizeBytes: mebibyte }] }),
      ),
      {
        kind: 'out-of-range',
        detail:
          'Formatting pool "p" failed: 1048576 bytes cannot be a pool: blocks of the smallest device: 256; ' +
          '768 or more are allowed (a block has 4096 bytes)',
      },
    ],
    [
      'a pool without devices',
      put('/v1/pools/p', '{"devices": []}'),
      { kind: 'invalid-argument', field: 'devices' },
    ],
    [
      'one device twice',
      put('/v1/pools/p', '{"devices": [{"path": "/tmp/x"}, {"path": "/tmp/x"}]}'),
      { kind: 'invalid-argument', field: 'devices.1.path' },
    ],
    [
      'a route that is not there',
      { method: 'GET', path: '/v2/volumes?x=1' },
      { kind: 'not-found', detail: 'There is no GET /v2/volumes; /openapi.json lists all routes' },
    ],
    [
      'a method that is not there',
      { method: 'POST', path: '/v1/volumes/a', headers: json, body: '{}' },
      {
        kind: 'not-found',
        detail: 'There is no POST /v1/volumes/a; /openapi.json lists all routes',
      },
    ],
  ])('%s', async (_, request, expected) => {
    expect(await problemOf(request)).toMatchObject(expected);
  });

  test('many mistakes are told up to a bound', async () => {
    const { detail } = await problemOf(
      putVolume({ pool: 1, sizeBytes: 'x', source: 3, labels: 4 }),
    );
    expect(detail).toMatch(
      /^Reading the body failed: pool: .*; sizeBytes: .*; source: .* \(and 1 more\)$/,
    );
  });

  test('a content type without a body is no mistake of a DELETE', async () => {
    const request = { method: 'DELETE', path: '/v1/volumes/absent', headers: json } as const;
    const answer = await rawRequest(daemon.daemon.endpoints[0]!, request);
    expect(answer.status).toBe(204);
  });

  test('what is no HTTP gets a problem, too', async () => {
    const path = daemon.daemon.endpoints[0]!.replace('unix://', '');
    const text = await new Promise<string>((resolve, reject) => {
      let received = '';
      const socket = connect(path, () => socket.write('GARBAGE\r\n\r\n'));
      socket.on('data', (chunk) => (received += chunk.toString()));
      socket.on('close', () => resolve(received)).on('error', reject);
    });
    expect(text).toMatch(/^HTTP\/1\.1 400 .*"kind":"invalid-argument"/s);
  });

  test('changes nothing', async () => {
    const { items } = await daemon.client.listVolumes();
    expect(items.map(({ id }) => id)).toEqual(['a']);
    expect((await daemon.client.listPools()).items).toHaveLength(1);
  });
});
