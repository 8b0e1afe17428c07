import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { StateFolder } from './state-folder.ts';

let parent: string;

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'varve-state-'));
});

afterEach(() => {
  rmSync(parent, { recursive: true });
});

test('is made for its owner alone, and locked until it is closed', () => {
  const path = join(parent, 'new/state');
  const folder = StateFolder.open(path);
  expect(statSync(path).mode & 0o777).toBe(0o700);
  expect(() => StateFolder.open(path)).toThrow(`Another playground runs on ${path}`);
  folder.close();
  StateFolder.open(path).close();
});

test('clear() deletes what playgrounds make, and nothing else', () => {
  const folder = StateFolder.open(parent);
  writeFileSync(join(parent, 'my-thesis.txt'), 'precious');
  writeFileSync(folder.poolFile, 'data');
  mkdirSync(folder.objectsFolder);
  folder.writeSettings({ port: 4711 });
  folder.logFile('operator');
  folder.clear();
  expect(existsSync(join(parent, 'my-thesis.txt'))).toBe(true);
  for (const path of [folder.poolFile, folder.objectsFolder, join(parent, 'logs')]) {
    expect(existsSync(path)).toBe(false);
  }
  expect(folder.readSettings()).toEqual({ port: 0 });
  folder.close();
});

test('gives addresses of exports that survive odd paths', () => {
  const folder = StateFolder.open(join(parent, "it's R&D"));
  const uri = folder.nbdUri('volume/a');
  expect(uri).toMatch(/^nbd\+unix:\/\/\/volume\/a\?socket=\/[\w/.%-]+$/);
  expect(new URL(uri).searchParams.get('socket')).toBe(folder.nbdSocket);
  folder.close();
});

test('keeps its settings', () => {
  const folder = StateFolder.open(parent);
  expect(folder.readSettings()).toEqual({ port: 0 });
  folder.writeSettings({ port: 4711 });
  expect(folder.readSettings()).toEqual({ port: 4711 });
  folder.close();
});

test('refuses a path that is too long for its sockets, in one sentence', () => {
  const path = join(parent, 'x'.repeat(120));
  expect(() => StateFolder.open(path)).toThrow('bytes too long for a unix socket');
  expect(existsSync(path)).toBe(false);
});

test('refuses a path that cannot be a folder', () => {
  writeFileSync(join(parent, 'file'), '');
  for (const path of [
    join(parent, 'file'),
    join(parent, 'file/below'),
    '/proc/nobody-makes-this',
  ]) {
    expect(() => StateFolder.open(path)).toThrow(`Cannot use the state folder ${path}: E`);
  }
  expect(() => StateFolder.open('')).toThrow('Cannot use "" as the state folder');
});

test('refuses a folder that it cannot lock, in one sentence', () => {
  // A folder in the lock's place: permissions would not stop root.
  mkdirSync(join(parent, 'lock'));
  expect(() => StateFolder.open(parent)).toThrow(`Cannot use the state folder ${parent}: EISDIR`);
});

test('says which file is broken, and what helps', () => {
  const folder = StateFolder.open(parent);
  writeFileSync(join(parent, 'playground.json'), '{"port": 47');
  expect(() => folder.readSettings()).toThrow(/^Reading .*playground.json failed: .* --fresh\.$/);
  folder.close();
});
