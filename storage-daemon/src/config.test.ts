import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Command } from 'commander';

import { addConfigOptions, type DaemonConfig, readConfig } from './config.ts';

let folder: string;
let variables: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-config-'));
  variables = [];
});

afterEach(() => {
  for (const name of variables) delete process.env[name];
  rmSync(folder, { recursive: true });
});

function read(...flags: string[]): DaemonConfig {
  const command = addConfigOptions(new Command()).exitOverride();
  command.parse(flags, { from: 'user' });
  return readConfig(command);
}

function setVariable(name: string, value: string): void {
  variables.push(name);
  process.env[name] = value;
}

function writeFile(content: object | string): string {
  const path = join(folder, 'config.json');
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

describe('the configuration', () => {
  test('has defaults: both sockets in the state folder', () => {
    expect(read()).toEqual({
      stateFolder: '/var/lib/varve',
      name: hostname(),
      listen: [{ kind: 'unix', path: '/var/lib/varve/daemon.sock' }],
      nbdListen: [{ kind: 'unix', path: '/var/lib/varve/nbd.sock' }],
      nvmeListen: [],
      tokenFile: undefined,
      tlsClientAuthorityFile: undefined,
      clientRolesFile: undefined,
      tlsCertificateFile: undefined,
      tlsKeyFile: undefined,
      mapMemoryBytes: undefined,
      deallocateBytesPerSecond: 2 ** 29,
      ioEngine: 'auto',
      reactors: 1,
      logLevel: 'info',
    });
  });

  test('takes flags before variables before the file before defaults', () => {
    const file = writeFile({ name: 'from-file', logLevel: 'warn', stateFolder: '/from/file' });
    setVariable('VARVE_NAME', 'from-variable');
    setVariable('VARVE_LOG_LEVEL', 'error');
    expect(read('--config', file, '--name', 'from-flag')).toMatchObject({
      name: 'from-flag',
      logLevel: 'error',
      stateFolder: '/from/file',
      listen: [{ kind: 'unix', path: '/from/file/daemon.sock' }],
    });
  });

  test('takes a number of reactors', () => {
    expect(read('--reactors', '4')).toMatchObject({ reactors: 4 });
    for (const wrong of ['0', '65', '1.5', 'all']) {
      expect(() => read('--reactors', wrong)).toThrow(/--reactors/);
    }
  });

  test('takes the memory of maps in bytes or binary units, at least 64 MiB', () => {
    expect(read('--map-memory', '67108864')).toMatchObject({ mapMemoryBytes: 67_108_864 });
    expect(read('--map-memory', '3GiB')).toMatchObject({ mapMemoryBytes: 3 * 2 ** 30 });
    setVariable('VARVE_MAP_MEMORY', '512MiB');
    expect(read()).toMatchObject({ mapMemoryBytes: 2 ** 29 });
    for (const [text, reason] of Object.entries({
      '63MiB': 'must be at least 64MiB',
      '1GB': 'must be bytes, or a whole number with KiB, MiB, GiB or TiB',
      '9007199254740993': 'must be bytes, or a whole number with KiB, MiB, GiB or TiB',
      '9007TiB': 'must be less than 8 PiB',
    })) {
      expect(() => read('--map-memory', text)).toThrow(
        `Reading the configuration failed: --map-memory: "${text}": ${reason}`,
      );
    }
  });

  test('takes the rate of deallocation in bytes or binary units, or off', () => {
    expect(read('--deallocate', '2GiB')).toMatchObject({ deallocateBytesPerSecond: 2 ** 31 });
    expect(read('--deallocate', 'off')).toMatchObject({ deallocateBytesPerSecond: 0 });
    for (const [text, reason] of Object.entries({
      '1': 'must be at least 1MiB, or off',
      '0': 'must be at least 1MiB, or off',
      on: 'must be bytes, or a whole number with KiB, MiB, GiB or TiB, or off',
    })) {
      expect(() => read('--deallocate', text)).toThrow(
        `Reading the configuration failed: --deallocate: "${text}": ${reason}`,
      );
    }
  });

  test('takes several addresses, in flags, variables and the file', () => {
    const addresses = ['unix:///run/a.sock', 'http://[::1]:8080'];
    const expected = [
      { kind: 'unix', path: '/run/a.sock' },
      { kind: 'http', host: '::1', port: 8080 },
    ];
    expect(read('--listen', ...addresses).listen).toEqual(expected);
    expect(read('--config', writeFile({ listen: addresses })).listen).toEqual(expected);
    setVariable('VARVE_LISTEN', addresses.join(' '));
    expect(read().listen).toEqual(expected);
  });

  test('can do without NBD', () => {
    expect(read('--config', writeFile({ nbdListen: [] })).nbdListen).toEqual([]);
  });

  test('makes paths absolute', () => {
    expect(read('--state-folder', 'state').stateFolder).toBe(join(process.cwd(), 'state'));
  });

  test.each<[string, string[], string]>([
    [
      'plain http beyond loopback',
      ['--listen', 'http://0.0.0.0:80'],
      '--listen: "http://0.0.0.0:80": plain http is for loopback only; ' +
        'allowed are unix:///path, http://127.0.0.1:port and https://address:port',
    ],
    [
      'NBD beyond loopback',
      ['--nbd-listen', 'tcp://10.0.0.1:10809'],
      '--nbd-listen: "tcp://10.0.0.1:10809": NBD without TLS is for loopback only; ' +
        'allowed are unix:///path and tcp://127.0.0.1:port',
    ],
    [
      'NVMe/TCP on an address that hosts cannot be told',
      ['--nvme-listen', 'tcp://0.0.0.0:4420'],
      '--nvme-listen: "tcp://0.0.0.0:4420": hosts cannot be told to connect to 0.0.0.0; ' +
        'allowed is tcp://address:port, with the address that hosts connect to',
    ],
    [
      'NVMe/TCP on a name',
      ['--nvme-listen', 'tcp://localhost:4420'],
      'hosts are told addresses, not names',
    ],
    [
      'https without a token',
      ['--listen', 'https://0.0.0.0:9443', '--tls-certificate-file', 'c', '--tls-key-file', 'k'],
      '--listen: https needs --token-file or --tls-client-authority-file as well',
    ],
    [
      'https without a key',
      ['--listen', 'https://0.0.0.0:9443', '--token-file', 't', '--tls-certificate-file', 'c'],
      '--listen: https needs --tls-key-file as well',
    ],
    ['a relative socket', ['--listen', 'unix://x.sock'], 'the path must be absolute'],
    [
      'a socket path that the kernel cannot take',
      ['--listen', `unix:///${'x'.repeat(107)}`],
      'the path of a socket has at most 107 bytes',
    ],
    ['a port that is none', ['--listen', 'http://127.0.0.1:70000'], 'host and port are expected'],
    ['an address without port', ['--listen', 'http://127.0.0.1'], 'host and port are expected'],
    ['an address with a path', ['--listen', 'http://127.0.0.1:1/x'], 'host and port are expected'],
    [
      'a scheme of the other kind',
      ['--listen', 'tcp://127.0.0.1:1'],
      'the scheme tcp is not known here',
    ],
    ['no address at all', ['--listen', 'daemon.sock'], '"daemon.sock": it has no scheme'],
    ['a name with spaces', ['--name', 'my node'], '--name: must be a name like node-1'],
  ])('refuses %s', (_, flags, sentence) => {
    expect(() => read(...flags)).toThrow('Reading the configuration failed: ');
    expect(() => read(...flags)).toThrow(sentence);
  });

  test('names the variable or the file that a mistake came from', () => {
    setVariable('VARVE_LISTEN', 'http://10.0.0.1:1');
    expect(() => read()).toThrow('failed: VARVE_LISTEN: "http://10.0.0.1:1": plain http');
    const file = writeFile({ name: 5 });
    expect(() => read('--config', file, '--listen', 'unix:///x')).toThrow(
      `failed: ${file}: name: `,
    );
    const other = writeFile({ colour: 'red' });
    expect(() => read('--config', other)).toThrow(`failed: ${other}: colour: `);
  });

  test.each([
    ['is not there', undefined, 'ENOENT'],
    ['is no JSON', '{', 'JSON'],
    ['is no object', '[]', 'it must hold one JSON object'],
  ])('says it when the file %s', (_, content, words) => {
    const path = content === undefined ? join(folder, 'absent') : writeFile(content);
    expect(() => read('--config', path)).toThrow(`Reading the configuration file "${path}" failed`);
    expect(() => read('--config', path)).toThrow(words);
  });

  test('describes every setting in --help', () => {
    const help = addConfigOptions(new Command()).helpInformation();
    for (const [flag, variable] of [
      ['--state-folder', 'VARVE_STATE_FOLDER'],
      ['--config', 'VARVE_CONFIG'],
      ['--name', 'VARVE_NAME'],
      ['--listen', 'VARVE_LISTEN'],
      ['--nbd-listen', 'VARVE_NBD_LISTEN'],
      ['--nvme-listen', 'VARVE_NVME_LISTEN'],
      ['--token-file', 'VARVE_TOKEN_FILE'],
      ['--tls-certificate-file', 'VARVE_TLS_CERTIFICATE_FILE'],
      ['--tls-key-file', 'VARVE_TLS_KEY_FILE'],
      ['--log-level', 'VARVE_LOG_LEVEL'],
    ] as const) {
      expect(help).toContain(flag);
      expect(help).toContain(variable);
    }
  });
});
