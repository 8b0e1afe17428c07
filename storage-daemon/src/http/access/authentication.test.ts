import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { Authenticator, TokenFile } from './authentication.ts';

const first = 'the-first-token-of-this-file';
const second = 'the-second-token-of-this-file';
const third = 'the-third-token-of-this-file';
const hostNqn = 'nqn.2014-08.org.nvmexpress:uuid:00000000-0000-0000-0000-00000000000a';
const admin = { role: 'admin' };

let folder: string;
let path: string;
let nowMs = 0;
let warnings: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-token-'));
  path = join(folder, 'token');
  warnings = [];
  write(first, 1);
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** Each write gets a modification time of its own, whatever the file system's clock does. */
function write(text: string, modifiedSeconds: number): void {
  writeFileSync(path, text);
  utimesSync(path, modifiedSeconds, modifiedSeconds);
}

function open(): TokenFile {
  return new TokenFile(path, {
    nowMs: () => nowMs,
    warn: (message) => void warnings.push(message),
  });
}

describe('TokenFile', () => {
  test('takes a new token within a second, and the old one no longer', () => {
    const file = open();
    write(second, 2);
    expect(file.find(first)).toEqual(admin);
    nowMs += 1001;
    expect(file.find(second)).toEqual(admin);
    expect(file.find(first)).toBeUndefined();
    expect(warnings).toEqual([]);
  });

  test('gives each token its role, and a node its host', () => {
    write(
      `# who may do what\n${first} viewer\n\n  ${second}\tnode ${hostNqn}  \n${third} operator\r\n`,
      2,
    );
    const file = open();
    expect(file.find(first)).toEqual({ role: 'viewer' });
    expect(file.find(second)).toEqual({ role: 'node', hostNqn });
    expect(file.find(third)).toEqual({ role: 'operator' });
    expect(file.find('# who may do what')).toBeUndefined();
    expect(file.find('')).toBeUndefined();
  });

  test.each([
    ['is gone', () => rmSync(path), 0],
    ['is empty for a moment', () => write('', 3), 1],
    ['gives an unknown role', () => write(`${second} superuser`, 3), 1],
  ])('goes on with its tokens while the file %s', (_, change, warningCount) => {
    const file = open();
    change();
    for (let look = 0; look < 3; look++) {
      nowMs += 1001;
      expect(file.find(first)).toEqual(admin);
    }
    expect(warnings).toHaveLength(warningCount);
    write(second, 4);
    nowMs += 1001;
    expect(file.find(second)).toEqual(admin);
  });

  test('refuses to begin without its file, by name', () => {
    rmSync(path);
    expect(open).toThrow(`Reading the token file "${path}" failed: ENOENT`);
  });

  test.each([
    ['a short token', 'short-but-secret', 'line 1: a token must have at least 16 characters'],
    ['nothing', '', 'no line of it gives a role'],
    ['comments alone', `# ${first}\n`, 'no line of it gives a role'],
    ['an unknown role', `${first}\n${second} root`, 'line 2: there is no role "root"; allowed are'],
    ['a node without a host', `${first} node`, 'line 1: the role node needs the NQN of its host'],
    ['a host for an admin', `${first} admin ${hostNqn}`, 'goes without a host NQN'],
    ['a node with half a name', `${first} node nqn.host`, 'must be an NQN like'],
    ['too many words', `${first} node ${hostNqn} x`, 'line 1: a role and, for a node'],
    ['a token twice', `${first} admin\n${first} viewer`, 'line 2: an earlier line'],
  ])('refuses to begin with %s, and quotes no token', (_, text, sentence) => {
    write(text.replace('short-but-secret', 'secret'), 5);
    expect(open).toThrow(`Reading the token file "${path}" failed`);
    expect(open).toThrow(sentence);
    for (const token of [first, second, 'secret']) expect(open).not.toThrow(token);
  });
});

describe('Authenticator', () => {
  test.each([
    [`Bearer ${first}`, true],
    [`bearer   ${first}`, true],
    [`Bearer ${first} `, false],
    [`Basic ${first}`, false],
    [first, false],
    ['', false],
    [undefined, false],
    [`Bearer ${second}`, false],
  ])('%j: %s', (header, isAllowed) => {
    const authenticator = new Authenticator({ tokens: open(), certificates: undefined });
    const check = () => authenticator.authenticate({} as Socket, header);
    if (isAllowed) expect(check()).toEqual(admin);
    else expect(check).toThrow('Authenticating the request failed');
  });
});
