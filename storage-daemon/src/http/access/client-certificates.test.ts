/** Callers that prove themselves by certificate, and files of TLS that change while the daemon runs. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';

import { createLogger, silentLogger } from '@varve/common/logger';
import { DaemonClient, type DaemonClientOptions } from '@varve/contract/client/daemon-client';

import type { DaemonConfig } from '../../config.ts';
import {
  createClientCertificate,
  createTestCertificates,
  type TestCertificates,
} from '../../testing/test-certificates.ts';
import { TestDaemon } from '../../testing/test-daemon.ts';

const hostUuid = '00000000-0000-0000-0000-00000000000a';
const token = 'a-token-that-nobody-guesses';

let folder: string;
let own: TestCertificates;
let stranger: TestCertificates;
let daemon: TestDaemon | undefined;
const clients: DaemonClient[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-certificates-'));
  const create = (name: string): TestCertificates => {
    mkdirSync(join(folder, name));
    return createTestCertificates(join(folder, name));
  };
  own = create('own');
  stranger = create('stranger');
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

afterEach(async () => {
  await Promise.all(clients.splice(0).map((each) => each.destroy()));
  await daemon?.end();
  daemon = undefined;
});

async function start(config: Partial<DaemonConfig> = {}, logger = silentLogger()): Promise<void> {
  daemon = await TestDaemon.start({
    logger,
    config: {
      listen: [
        { kind: 'https', host: '127.0.0.1', port: 0 },
        { kind: 'unix', path: join(folder, 'admin.sock') },
      ],
      tlsCertificateFile: own.certificateFile,
      tlsKeyFile: own.keyFile,
      tlsClientAuthorityFile: own.authorityFile,
      ...config,
    },
  });
}

function client(options: Omit<DaemonClientOptions, 'endpoint'> = {}): DaemonClient {
  const [endpoint = ''] = daemon!.daemon.endpoints;
  const made = new DaemonClient({ endpoint, certificateAuthority: own.authority, ...options });
  clients.push(made);
  return made;
}

function clientOf(subject: string, names?: string, authority = 'own'): DaemonClient {
  const options = { subject, ...(names !== undefined && { names }) };
  return client({ clientCertificate: createClientCertificate(join(folder, authority), options) });
}

describe('a client certificate', () => {
  test.each([
    ['/O=varve:admin/CN=somebody', 'as admin'],
    ['/O=varve:operator/CN=varve-operator', 'as operator'],
    ['/O=example/O=varve:viewer/CN=grafana', 'as viewer'],
  ])('gives the role of its organization: %s %s', async (subject) => {
    await start();
    const one = clientOf(subject);
    expect(await one.getInfo()).toMatchObject({ name: 'test-daemon' });
    const isViewer = subject.includes('viewer');
    const change = one.deleteVolume('absent');
    if (isViewer) await expect(change).rejects.toMatchObject({ kind: 'permission-denied' });
    else await change;
  });

  test.each([
    [
      '/O=varve:node/CN=node-1',
      `URI:https://example,URI:nqn.2014-08.org.nvmexpress:uuid:${hostUuid}`,
    ],
    ['/O=varve:node/CN=node-1', `DNS:node-1,URI:nqn.2014-08.org.nvmexpress:uuid:${hostUuid}`],
    [`/O=varve:node/CN=${hostUuid}`, undefined],
  ])('names the host of a node: %s with %s', async (subject, names) => {
    await start();
    await expect(clientOf(subject, names).getFilesystem('a')).rejects.toMatchObject({
      kind: 'permission-denied',
      message: expect.stringContaining(`host "nqn.2014-08.org.nvmexpress:uuid:${hostUuid}" has no`),
    });
  });

  test.each([
    ['no organization', '/CN=admin', undefined],
    ['an unknown role', '/O=varve:root/CN=admin', undefined],
    ['two roles', '/O=varve:viewer/O=varve:admin/CN=admin', undefined],
    ['a node without a host', '/O=varve:node/CN=node-1', undefined],
    [
      'a node of two hosts',
      '/O=varve:node/CN=node-1',
      'URI:nqn.2026-11.com.example:a,URI:nqn.2026-11.com.example:b',
    ],
  ])('with %s gives none', async (_, subject, names) => {
    await start();
    await expect(clientOf(subject, names).getInfo()).rejects.toMatchObject({
      kind: 'unauthenticated',
      message: expect.stringContaining('gives no role: O must be varve:<role>'),
    });
  });

  test('of another authority counts for nothing, also with the right token', async () => {
    const tokenFile = join(folder, 'token');
    writeFileSync(tokenFile, token);
    await start({ tokenFile });
    const folderOf = join(folder, 'stranger');
    const clientCertificate = createClientCertificate(folderOf, { subject: '/O=varve:admin/CN=x' });
    await expect(client({ clientCertificate, token }).getInfo()).rejects.toMatchObject({
      kind: 'unauthenticated',
      message: expect.stringContaining('the certificate is not valid'),
    });
  });

  test('is not needed by who has a token, where there are tokens', async () => {
    await start();
    await expect(client({ token }).getInfo()).rejects.toMatchObject({
      kind: 'unauthenticated',
      message: expect.stringContaining('a client certificate is needed'),
    });
    await daemon?.end();
    const tokenFile = join(folder, 'token');
    writeFileSync(tokenFile, token);
    await start({ tokenFile });
    await client({ token }).getInfo();
    await expect(client().getInfo()).rejects.toMatchObject({
      kind: 'unauthenticated',
      message: expect.stringContaining('and so is a client certificate'),
    });
  });

  test('gets its role from the file of client roles, where there is one', async () => {
    const clientRolesFile = join(folder, 'roles');
    writeFileSync(clientRolesFile, `grafana viewer\nnode-1 node nqn.2026-11.com.example:node-1\n`);
    await start({ clientRolesFile });
    const grafana = clientOf('/CN=grafana/O=varve:admin');
    await grafana.getInfo();
    await expect(grafana.deleteVolume('a')).rejects.toMatchObject({ kind: 'permission-denied' });
    await expect(clientOf('/CN=node-1').getFilesystem('a')).rejects.toMatchObject({
      message: expect.stringContaining('host "nqn.2026-11.com.example:node-1" has no access'),
    });
    await expect(clientOf('/CN=stranger/O=varve:admin').getInfo()).rejects.toMatchObject({
      kind: 'unauthenticated',
      message: expect.stringContaining('the certificate of CN=stranger'),
    });
  });
});

describe('TLS files that change', () => {
  /** Copies of an authority's files under names that stay; each time with a time of modification of its own. */
  function install(certificates: TestCertificates, seconds: number): Partial<DaemonConfig> {
    const paths = {
      tlsCertificateFile: join(folder, 'current.pem'),
      tlsKeyFile: join(folder, 'current.key'),
      tlsClientAuthorityFile: join(folder, 'current-ca.pem'),
    };
    copyFileSync(certificates.certificateFile, paths.tlsCertificateFile);
    copyFileSync(certificates.keyFile, paths.tlsKeyFile);
    copyFileSync(certificates.authorityFile, paths.tlsClientAuthorityFile);
    for (const path of Object.values(paths)) utimesSync(path, seconds, seconds);
    return paths;
  }

  /** Whether a client can connect that knows the files of this folder, and is known by them. */
  function createProbe(authority: string, folderName: string): () => Promise<boolean> {
    const subject = { subject: '/O=varve:viewer/CN=x' };
    const clientCertificate = createClientCertificate(join(folder, folderName), subject);
    return async () => {
      const one = client({ certificateAuthority: authority, clientCertificate });
      return one.getInfo().then(
        () => true,
        () => false,
      );
    };
  }

  /** Goes on connecting: at each connection, but once a second, the daemon looks at its files. */
  async function until(isSo: () => Promise<boolean>): Promise<void> {
    while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 50));
  }

  test('count for new connections, on both sides of the handshake', async () => {
    await start(install(own, 1000));
    const isKnown = createProbe(own.authority, 'own');
    expect(await isKnown()).toBe(true);
    install(stranger, 2000);
    await until(createProbe(stranger.authority, 'stranger'));
    expect(await isKnown()).toBe(false);
  });

  test('into nonsense leave the daemon with what it had, and are told of', async () => {
    let log = '';
    const write = (chunk: Buffer, _: string, done: () => void): void => {
      log += chunk.toString();
      done();
    };
    const paths = install(own, 3000);
    await start(paths, createLogger({ name: 'test', stream: new Writable({ write }) }));
    writeFileSync(paths.tlsKeyFile!, 'no key');
    const isKnown = createProbe(own.authority, 'own');
    await until(async () => (await isKnown()) && log.includes('stays in force'));
    expect(await isKnown()).toBe(true);
    install(stranger, 5000);
    await until(createProbe(stranger.authority, 'stranger'));
  });
});
