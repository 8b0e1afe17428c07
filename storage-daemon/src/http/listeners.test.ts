/** Who may talk to the daemon, and over what. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';

import { DaemonClient, type DaemonClientOptions } from '@varve/contract/client/daemon-client';

import type { DaemonConfig } from '../config.ts';
import { rawRequest } from '../testing/raw-request.ts';
import { createTestCertificates, type TestCertificates } from '../testing/test-certificates.ts';
import { TestDaemon } from '../testing/test-daemon.ts';

const token = 'a-token-that-nobody-guesses';

let folder: string;
let certificates: TestCertificates;
let daemon: TestDaemon | undefined;
const clients: DaemonClient[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-listeners-'));
  certificates = createTestCertificates(folder);
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

afterEach(async () => {
  await Promise.all(clients.splice(0).map((each) => each.destroy()));
  await daemon?.end();
  daemon = undefined;
});

function client(options: Omit<DaemonClientOptions, 'endpoint'> = {}): DaemonClient {
  const made = new DaemonClient({ endpoint: daemon!.daemon.endpoints[0]!, ...options });
  clients.push(made);
  return made;
}

function writeToken(text: string): string {
  const path = join(folder, 'token');
  writeFileSync(path, `${text}\n`);
  return path;
}

function overTls(): Partial<DaemonConfig> {
  return {
    listen: [{ kind: 'https', host: '127.0.0.1', port: 0 }],
    tokenFile: writeToken(token),
    tlsCertificateFile: certificates.certificateFile,
    tlsKeyFile: certificates.keyFile,
  };
}

function serve(path: string): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(path, () => resolve(server));
  });
}

describe('TLS with a bearer token', () => {
  test('serves who trusts the authority and has the token', async () => {
    daemon = await TestDaemon.start({ config: overTls() });
    const { authority } = certificates;
    const { name } = await client({ certificateAuthority: authority, token }).getInfo();
    expect(name).toBe('test-daemon');
  });

  test.each<[string, string | undefined, string]>([
    ['no token', undefined, 'the header "Authorization: Bearer <token>" is missing'],
    ['a wrong token', 'another-token-of-the-same-sort', "the token is not this daemon's"],
    ['a prefix of the token', token.slice(0, -1), "the token is not this daemon's"],
  ])('answers %s with unauthenticated', async (_, presented, sentence) => {
    daemon = await TestDaemon.start({ config: overTls() });
    const one = client({ certificateAuthority: certificates.authority, token: presented });
    await expect(one.getInfo()).rejects.toMatchObject({
      kind: 'unauthenticated',
      message: `Authenticating the request failed: ${sentence}`,
    });
    await expect(one.events().next()).rejects.toMatchObject({ kind: 'unauthenticated' });
  });

  test('keeps /metrics, /openapi.json and unknown routes behind the token, health in front', async () => {
    daemon = await TestDaemon.start({ config: overTls() });
    const ask = async (path: string) => {
      const request = { method: 'GET', path, certificateAuthority: certificates.authority };
      return (await rawRequest(daemon!.daemon.endpoints[0]!, request)).status;
    };
    expect(await ask('/metrics')).toBe(401);
    expect(await ask('/openapi.json')).toBe(401);
    expect(await ask('/v1/no-such')).toBe(401);
    expect(await ask('/healthz')).toBe(200);
    expect(await ask('/readyz')).toBe(200);
  });

  test('says how to authenticate', async () => {
    daemon = await TestDaemon.start({ config: overTls() });
    const answer = await rawRequest(daemon.daemon.endpoints[0]!, {
      method: 'GET',
      path: '/v1/info',
      certificateAuthority: certificates.authority,
    });
    expect(answer).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Bearer' } });
  });

  test('is not trusted by who does not know the authority', async () => {
    daemon = await TestDaemon.start({ config: overTls() });
    await expect(client({ token }).getInfo()).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringMatching(/CERT|SIGNATURE/),
    });
  });

  test('refuses to start with files that cannot be used, and says which', async () => {
    const config = { ...overTls(), tlsKeyFile: join(folder, 'absent.key') };
    await expect(TestDaemon.start({ config })).rejects.toThrow(
      `Reading the TLS files "${config.tlsKeyFile}" failed: ENOENT`,
    );
    writeToken('short');
    const short = TestDaemon.start({ config: { ...overTls(), tokenFile: writeToken('short') } });
    await expect(short).rejects.toThrow('a token must have at least 16 characters');
  });
});

describe('plain http on loopback', () => {
  const listen = [{ kind: 'http', host: '127.0.0.1', port: 0 }] as const;

  test('serves without a token if there is none', async () => {
    daemon = await TestDaemon.start({ config: { listen } });
    expect(daemon.daemon.endpoints[0]).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    await client().getInfo();
  });

  test('wants the token if there is one', async () => {
    const tokenFile = writeToken(token);
    daemon = await TestDaemon.start({ config: { listen, tokenFile } });
    await expect(client().getInfo()).rejects.toMatchObject({ kind: 'unauthenticated' });
    await client({ token }).getInfo();
  });
});

describe('a unix socket', () => {
  test("is the daemon user's alone, and needs no token", async () => {
    daemon = await TestDaemon.start({ config: { tokenFile: writeToken(token) } });
    const path = daemon.daemon.endpoints[0]!.replace('unix://', '');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await daemon.client.getInfo();
  });

  test('that a killed daemon left behind is replaced', async () => {
    const path = join(folder, 'stale.sock');
    // Node removes the socket of a server that closes; one whose process is killed stays.
    const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 9))`;
    spawnSync(process.execPath, ['-e', script]);
    expect(statSync(path).isSocket()).toBe(true);
    daemon = await TestDaemon.start({ config: { listen: [{ kind: 'unix', path }] } });
    await client().getInfo();
  });

  test('that another process serves is refused, and left alone', async () => {
    const path = join(folder, 'other.sock');
    const other = await serve(path);
    const started = TestDaemon.start({ config: { listen: [{ kind: 'unix', path }] } });
    await expect(started).rejects.toThrow(
      `Listening on unix ${path} failed: another process serves this socket`,
    );
    expect(statSync(path).isSocket()).toBe(true);
    await new Promise((resolve) => other.close(resolve));
  });

  test('does not replace a file', async () => {
    const path = join(folder, 'file');
    writeFileSync(path, 'data');
    const started = TestDaemon.start({ config: { listen: [{ kind: 'unix', path }] } });
    await expect(started).rejects.toThrow('the path exists and is no socket');
  });
});
