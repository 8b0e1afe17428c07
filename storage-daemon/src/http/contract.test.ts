/**
 * The one generic test over all routes: the client on one end, the daemon on the other, and the OpenAPI
 * document in between.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import type { CallInput, ReplyOf } from '@varve/contract/client/daemon-client';
import { problemTable } from '@varve/contract/problem';
import { commonProblems, type Route, type RouteName, routes } from '@varve/contract/routes';
import { rawRequest } from '../testing/raw-request.ts';
import { TestDaemon, testPoolBytes } from '../testing/test-daemon.ts';

const mebibyte = 1024 * 1024;
const volume = { volume: 'volume-1' };
const snapshot = { snapshot: 'snapshot-1' };
const hostNqn = 'nqn.2014-08.org.nvmexpress:uuid:6f1f3dcf-6a5f-4a33-a56a-6b6b0f3a7f10';
const hostKey = 'DHHC-1:01:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:';

let daemon: TestDaemon;

/** Every route with an input that succeeds, in an order in which each finds what it needs. */
const calls = (): { readonly [Name in RouteName]: CallInput<Name> } => ({
  getHealth: {},
  getReadiness: {},
  getInfo: {},
  putPool: {
    params: { pool: 'pool-1' },
    body: {
      devices: [{ path: join(daemon.folder, 'pool-1.img'), sizeBytes: testPoolBytes }],
      labels: { rack: 'a' },
    },
  },
  getPool: { params: { pool: 'pool-1' } },
  listPools: { query: { label: 'rack=a' } },
  putVolume: {
    params: volume,
    body: {
      pool: 'pool-1',
      sizeBytes: 64 * mebibyte,
      labels: { app: 'db' },
      limits: { readIops: 1000 },
    },
  },
  getVolume: { params: volume },
  listVolumes: { query: { limit: 10, label: ['app=db', 'app'], pool: 'pool-1', space: 'true' } },
  patchVolume: { params: volume, body: { sizeBytes: 65 * mebibyte, labels: { app: 'web' } } },
  putFilesystem: { params: volume, body: { state: 'formatting', type: 'ext4' } },
  getFilesystem: { params: volume },
  putSnapshot: { params: snapshot, body: { volume: 'volume-1', labels: { app: 'db' } } },
  getSnapshot: { params: snapshot },
  listSnapshots: { query: { volume: 'volume-1', label: 'app=db', space: 'true' } },
  postReclaimable: { body: { ids: ['snapshot-1'] } },
  putRevert: { params: { ...volume, revert: 'revert-1' }, body: { snapshot: 'snapshot-1' } },
  putHost: { params: { ...volume, hostNqn }, body: { hostKey } },
  getHost: { params: { ...volume, hostNqn } },
  listHosts: { params: volume },
  deleteHost: { params: { ...volume, hostNqn } },
  deleteSnapshot: { params: snapshot },
  deleteVolume: { params: volume },
});

beforeAll(async () => {
  daemon = await TestDaemon.start();
});

afterAll(async () => {
  await daemon.end();
});

describe('every route', () => {
  const answers = new Map<RouteName, unknown>();

  test('answers the client, and says what the contract says', async () => {
    const inputs = calls();
    const names = Object.keys(inputs) as RouteName[];
    expect(names.sort()).toEqual((Object.keys(routes) as RouteName[]).sort());
    for (const name of Object.keys(calls()) as RouteName[]) {
      answers.set(name, await daemon.client.call(name, inputs[name]));
    }
    const reply = <Name extends RouteName>(name: Name) => answers.get(name) as ReplyOf<Name>;
    expect(reply('getInfo')).toMatchObject({
      name: 'test-daemon',
      apiVersions: ['v1'],
      reactors: [{ index: 0, ioEngine: expect.stringMatching(/^(io_uring|fs)$/) }],
    });
    expect(reply('putPool')).toMatchObject({
      id: 'pool-1',
      labels: { rack: 'a' },
      devices: [{ kind: 'file', sizeBytes: testPoolBytes }],
      volumes: 0,
    });
    expect(reply('getPool').conditions.map(({ status }) => status)).toEqual(['True', 'True']);
    expect(reply('listPools').items.map(({ id }) => id)).toEqual(['pool-1']);
    expect(reply('putVolume')).toMatchObject({
      id: 'volume-1',
      pool: 'pool-1',
      sizeBytes: 64 * mebibyte,
      labels: { app: 'db' },
      limits: { readIops: 1000 },
      filesystem: { state: 'blank' },
      exportName: 'volume/volume-1',
      connections: 0,
      hosts: [],
      reverts: [],
    });
    expect(reply('getVolume')).toEqual(reply('putVolume'));
    expect(reply('listVolumes')).toEqual({ items: [reply('putVolume')] });
    expect(reply('patchVolume')).toMatchObject({
      sizeBytes: 65 * mebibyte,
      labels: { app: 'web' },
      limits: { readIops: 1000 },
    });
    expect(reply('getFilesystem')).toEqual({ state: 'formatting', type: 'ext4' });
    expect(reply('putSnapshot')).toMatchObject({
      id: 'snapshot-1',
      volume: 'volume-1',
      restoreSizeBytes: 65 * mebibyte,
      references: { clones: 0, laterSnapshots: 0, exports: 0 },
      filesystem: { state: 'formatting', type: 'ext4' },
      uniqueBytes: 0,
      reclaimableBytes: 0,
    });
    expect(reply('getSnapshot')).toEqual(reply('putSnapshot'));
    expect(reply('listSnapshots')).toEqual({ items: [reply('putSnapshot')] });
    expect(reply('postReclaimable')).toEqual({ reclaimableBytes: 0 });
    expect(reply('putRevert')).toMatchObject({
      reverts: ['revert-1'],
      uuid: reply('putVolume').uuid,
    });
    expect(reply('putHost')).toEqual({
      hostNqn,
      hostKey: { transformation: 'SHA-256' },
      subsystemNqn: `nqn.2026-11.dev.varve:volume:${reply('putVolume').uuid}`,
    });
    expect(reply('getHost')).toEqual(reply('putHost'));
    expect(reply('listHosts')).toEqual({ items: [reply('putHost')] });
  });

  test('may be called again with the same input', async () => {
    const inputs = calls();
    for (const name of Object.keys(inputs) as RouteName[]) {
      await daemon.client.call(name, inputs[name]);
      await daemon.client.call(name, inputs[name]);
    }
  });

  test.each(Object.entries<Route>(routes))('%s refuses unknown fields', async (_, route) => {
    const [endpoint = ''] = daemon.daemon.endpoints;
    const path = route.path.replace('{hostNqn}', hostNqn).replace(/\{\w+\}/g, 'abc');
    const query = await rawRequest(endpoint, { method: route.method, path: `${path}?noSuch=1` });
    expect(query.json).toMatchObject({
      status: 400,
      kind: 'invalid-argument',
      ...(route.body === undefined && { field: 'noSuch' }),
    });
    if (route.body === undefined) return;
    const body = await rawRequest(endpoint, {
      method: route.method,
      path,
      headers: { 'content-type': 'application/json' },
      body: '{"noSuch": 1}',
    });
    expect(body).toMatchObject({ status: 400, contentType: expect.stringContaining('problem') });
    expect((body.json as { detail: string }).detail).toContain(
      'unknown field "noSuch"; allowed are',
    );
  });
});

describe('the OpenAPI document', () => {
  interface Operation {
    readonly operationId: string;
    readonly description?: string;
    readonly parameters?: readonly { readonly name: string; readonly in: string }[];
    readonly requestBody?: unknown;
    readonly responses: Readonly<Record<string, unknown>>;
    readonly security?: unknown;
  }
  interface Document {
    readonly openapi: string;
    readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
    readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
  }

  let document: Document;
  let text: string;

  beforeAll(async () => {
    const answer = await rawRequest(daemon.daemon.endpoints[0]!, {
      method: 'GET',
      path: '/openapi.json',
    });
    text = answer.text;
    document = answer.json as Document;
  });

  test('describes exactly the routes of the table', () => {
    const found = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const expected = Object.values<Route>(routes).map(({ method, path }) => `${method} ${path}`);
    expect(found.sort()).toEqual(expected.sort());
  });

  test.each(Object.entries<Route>(routes))('%s has its inputs and answers', (name, route) => {
    const operation = document.paths[route.path]?.[route.method.toLowerCase()];
    expect(operation).toBeDefined();
    expect(operation?.operationId).toBe(name);
    const parameters = (place: string) =>
      (operation?.parameters ?? []).filter((each) => each.in === place).map((each) => each.name);
    expect(parameters('path').sort()).toEqual(Object.keys(route.params.shape).sort());
    expect(parameters('query').sort()).toEqual(Object.keys(route.query.shape).sort());
    expect(operation?.requestBody !== undefined).toBe(route.body !== undefined);
    const success = route.reply === undefined ? [204] : route.creates ? [200, 201] : [200];
    const problems = [...commonProblems, ...route.problems].map(
      (kind) => problemTable[kind].httpStatus,
    );
    const statuses = new Set([...success, ...problems].map(String));
    expect(Object.keys(operation?.responses ?? {}).sort()).toEqual([...statuses].sort());
    expect(operation?.security).toEqual(route.isPublic ? [] : undefined);
    const access = route.isPublic ? 'Open to all.' : `Roles: ${route.roles.join(', ')}.`;
    expect(operation?.description).toBe(access);
  });

  test('has no reference that leads nowhere', () => {
    const references = [...text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].map(
      ([, name]) => name ?? '',
    );
    expect(references.length).toBeGreaterThan(20);
    expect(references.filter((name) => document.components.schemas[name] === undefined)).toEqual(
      [],
    );
  });
});
