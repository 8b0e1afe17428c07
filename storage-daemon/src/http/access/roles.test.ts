/** Every route, called by every role: the table of the contract is what the daemon does. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { DaemonClient } from '@varve/contract/client/daemon-client';
import { type Role, roles } from '@varve/contract/role';
import { otherPathRoles, otherPaths, type Route, routes } from '@varve/contract/routes';

import { rawRequest } from '../../testing/raw-request.ts';
import { TestDaemon } from '../../testing/test-daemon.ts';

const ownNqn = 'nqn.2014-08.org.nvmexpress:uuid:00000000-0000-0000-0000-00000000000a';
const otherNqn = 'nqn.2014-08.org.nvmexpress:uuid:00000000-0000-0000-0000-00000000000b';
const tokenOf = (role: Role): string => `the-token-of-the-role-${role}`;

let folder: string;
let daemon: TestDaemon;
let clients: Readonly<Record<Role, DaemonClient>>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'varve-roles-'));
  const tokenFile = join(folder, 'tokens');
  const line = (role: Role) => `${tokenOf(role)} ${role}${role === 'node' ? ` ${ownNqn}` : ''}\n`;
  writeFileSync(tokenFile, roles.map(line).join(''));
  const listen = [{ kind: 'http', host: '127.0.0.1', port: 0 }] as const;
  daemon = await TestDaemon.start({ config: { listen, tokenFile } });
  const [endpoint = ''] = daemon.daemon.endpoints;
  const client = (role: Role) => new DaemonClient({ endpoint, token: tokenOf(role) });
  clients = Object.fromEntries(roles.map((role) => [role, client(role)])) as typeof clients;
  const path = join(folder, 'pool.img');
  await clients.admin.putPool('pool-1', { devices: [{ path, sizeBytes: 256 * 1024 * 1024 }] });
  for (const volume of ['own', 'other']) {
    await clients.operator.putVolume(volume, { pool: 'pool-1', sizeBytes: 1024 * 1024 });
  }
  await clients.operator.putHost({ volume: 'own', hostNqn: ownNqn });
  await clients.operator.putHost({ volume: 'other', hostNqn: otherNqn });
});

afterAll(async () => {
  await Promise.all(Object.values(clients).map((client) => client.destroy()));
  await daemon.end();
  rmSync(folder, { recursive: true });
});

/** A request that changes nothing, whoever sends it: what a route would work on does not exist, or its body is bad. */
async function ask(role: Role | undefined, { method, path }: Pick<Route, 'method' | 'path'>) {
  const place = path.replace('{hostNqn}', ownNqn).replace(/\{\w+\}/g, 'absent');
  const takesBody = method === 'PUT' || method === 'PATCH' || method === 'POST';
  const headers = {
    ...(role !== undefined && { authorization: `Bearer ${tokenOf(role)}` }),
    ...(takesBody && { 'content-type': 'application/json' }),
  };
  const body = takesBody ? { body: '{"noSuch": 1}' } : {};
  return rawRequest(daemon.daemon.endpoints[0]!, { method, path: place, headers, ...body });
}

describe.each(roles)('the role %s', (role) => {
  test.each(Object.values<Route>(routes).filter(({ isPublic }) => !isPublic))(
    'may do what the table says: $method $path',
    async (route) => {
      const { status, json } = await ask(role, route);
      expect(status).not.toBe(401);
      if (route.roles.includes(role) && role !== 'node') expect(status).not.toBe(403);
      else if (route.roles.includes(role)) {
        // A node is let in, and then asked for its grant.
        expect([400, 403]).toContain(status);
        expect(JSON.stringify(json)).not.toContain('the role');
      } else {
        expect(json).toMatchObject({
          status: 403,
          kind: 'permission-denied',
          detail: expect.stringContaining(`the role "${role}" may not do that; needed is`),
        });
        for (const needed of route.roles) {
          expect((json as { detail: string }).detail).toContain(`"${needed}"`);
        }
      }
    },
  );

  test.each(['metrics', 'openapi'] as const)('may read what the table says: %s', async (name) => {
    const { status } = await ask(role, { method: 'GET', path: otherPaths[name] });
    expect(status).toBe(otherPathRoles[name].some((each) => each === role) ? 200 : 403);
  });

  test('may follow events if the table says so', async () => {
    const abort = new AbortController();
    const events = clients[role].events(abort.signal);
    const first = events.next();
    if (role === 'node') await expect(first).rejects.toMatchObject({ kind: 'permission-denied' });
    else {
      await clients.admin.patchVolume('other', { labels: { by: role } });
      expect((await first).value).toMatchObject({ object: 'volume/other' });
    }
    abort.abort();
    await events.return(undefined).catch(() => undefined);
  });

  test('finds no way around it by another spelling of the method or the path', async () => {
    const isAdmin = role === 'admin';
    for (const path of ['/v1/pools/absent/', '/V1/pools/absent', '//v1/pools/absent']) {
      const { status } = await ask(role, { method: 'PUT', path });
      expect([403, 404, ...(isAdmin ? [400] : [])]).toContain(status);
    }
    const head = await rawRequest(daemon.daemon.endpoints[0]!, {
      method: 'HEAD',
      path: '/v1/volumes',
      headers: { authorization: `Bearer ${tokenOf(role)}` },
    });
    expect(head.status).toBe(role === 'node' ? 403 : 200);
  });
});

test('without credentials, health alone is open', async () => {
  for (const route of Object.values<Route>(routes)) {
    const { status } = await ask(undefined, route);
    expect([route.path, status]).toEqual([route.path, route.isPublic ? 200 : 401]);
  }
});

test('metrics count who was turned away, and why', async () => {
  const count = async (name: string): Promise<number> => {
    const text = (await ask('viewer', { method: 'GET', path: otherPaths.metrics })).text;
    return Number(new RegExp(`^varve_http_${name}_total (\\d+)$`, 'm').exec(text)?.[1]);
  };
  const [failures, denials] = [
    await count('authentication_failures'),
    await count('permission_denials'),
  ];
  await ask(undefined, routes.listVolumes);
  await ask('viewer', routes.deleteVolume);
  await ask('node', routes.listVolumes);
  expect(await count('authentication_failures')).toBe(failures + 1);
  expect(await count('permission_denials')).toBe(denials + 2);
});

describe('a node', () => {
  test('sees and changes the file system state of what its host may attach', async () => {
    expect(await clients.node.getFilesystem('own')).toEqual({ state: 'blank' });
    const formatting = { state: 'formatting', type: 'ext4' } as const;
    expect(await clients.node.putFilesystem('own', formatting)).toEqual(formatting);
    expect(await clients.node.getFilesystem('own')).toEqual(formatting);
  });

  test.each([
    ['of another host', 'other'],
    ['that nobody has heard of', 'absent'],
  ])(
    'does neither with a volume %s, and does not learn whether there is one',
    async (_, volume) => {
      const refused = {
        kind: 'permission-denied',
        message: expect.stringContaining(`host "${ownNqn}" has no access to that volume`),
      };
      await expect(clients.node.getFilesystem(volume)).rejects.toMatchObject(refused);
      await expect(
        clients.node.putFilesystem(volume, { state: 'formatting', type: 'ext4' }),
      ).rejects.toMatchObject(refused);
      expect(await clients.viewer.getFilesystem('other')).toEqual({ state: 'blank' });
    },
  );

  test('loses that with its grant', async () => {
    await clients.operator.deleteHost({ volume: 'own', hostNqn: ownNqn });
    await expect(clients.node.getFilesystem('own')).rejects.toMatchObject({
      kind: 'permission-denied',
    });
    await clients.operator.putHost({ volume: 'own', hostNqn: ownNqn });
    expect(await clients.node.getFilesystem('own')).toMatchObject({ state: 'formatting' });
  });
});
