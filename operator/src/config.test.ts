import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { readConfig } from './config.ts';

let folder: string;

function file(text: string): string {
  const path = join(folder, 'config.yaml');
  writeFileSync(path, text);
  return path;
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-config-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

describe('readConfig()', () => {
  test('takes counts of single controllers as a list, and as a map in the file', () => {
    const args = ['--controller-workers', 'volume-snapshot=128, orphan-check=1'];
    const counts = { 'volume-snapshot': 128, 'orphan-check': 1 };
    expect(readConfig({ args, environment: {} }).controllerWorkers).toEqual(counts);
    expect(() => readConfig({ args: ['--controller-workers=a=many'], environment: {} })).toThrow(
      /^Reading the configuration failed: --controller-workers is "a=many": /,
    );
  });

  test('needs nothing', () => {
    expect(readConfig({ args: [], environment: {} })).toEqual({
      driverName: 'csi.varve.dev',
      listen: '127.0.0.1:0',
      leaderElection: 'auto',
      snapshotController: 'auto',
      orphanCheckSeconds: 600,
      orphanRemoval: 'off',
      controllerWorkers: {},
      orphanGraceSeconds: 86_400,
      workers: 64,
      apiRate: 1000,
      apiBurst: 2000,
      apiConnections: 64,
      logLevel: 'info',
    });
  });

  test('flags win over variables, variables over the file', () => {
    const path = file('workers: 1\napiRate: 1\napiBurst: 1\n');
    const config = readConfig({
      args: ['--config', path, '--workers', '3'],
      environment: { VARVE_OPERATOR_WORKERS: '2', VARVE_OPERATOR_API_RATE: '2' },
    });
    expect(config).toMatchObject({ workers: 3, apiRate: 2, apiBurst: 1 });
  });

  test('finds the file by a variable too, and an empty file is none', () => {
    const path = file('# nothing yet\n');
    const environment = { VARVE_OPERATOR_CONFIG: path };
    expect(readConfig({ args: [], environment }).workers).toBe(64);
  });

  test.each<[string[], Record<string, string>, string]>([
    [['--workers=0'], {}, '--workers is "0"'],
    [[], { VARVE_OPERATOR_LISTEN: 'nine' }, 'VARVE_OPERATOR_LISTEN is "nine": must be host:port'],
    [[], { VARVE_OPERATOR_API_RATE: 'fast' }, 'VARVE_OPERATOR_API_RATE is "fast"'],
    [['--leader-election=maybe'], {}, '--leader-election is "maybe"'],
  ])('names the value and where it came from: %j %j', (args, environment, message) => {
    expect(() => readConfig({ args, environment })).toThrow(message);
  });

  test('names what the file says wrongly', () => {
    const unknown = file('wokers: 3\n');
    const read = (): unknown => readConfig({ args: ['--config', unknown], environment: {} });
    expect(read).toThrow(`${unknown}: wokers is unknown; allowed are kubeconfig, driverName,`);
    file('workers: many\n');
    expect(read).toThrow(`${unknown}: workers is "many"`);
    file('- a\n');
    expect(read).toThrow('it must hold names with values');
    file('a: [\n');
    expect(read).toThrow(`Reading the configuration ${unknown} failed`);
  });

  test('names a file that is not there', () => {
    expect(() => readConfig({ args: ['--config', '/nowhere'], environment: {} })).toThrow(
      'Reading the configuration /nowhere failed: ENOENT',
    );
  });
});
