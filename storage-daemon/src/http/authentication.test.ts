import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { checkAuthorization, TokenFile } from './authentication.ts';

const first = 'the-first-token-of-this-file';
const second = 'the-second-token-of-this-file';

let folder: string;
let path: string;
let nowMs = 0;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-token-'));
  path = join(folder, 'token');
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

describe('TokenFile', () => {
  test('takes a new token within a second, and the old one no longer', () => {
    const file = new TokenFile(path, () => nowMs);
    write(second, 2);
    expect(file.matches(first)).toBe(true);
    nowMs += 1001;
    expect(file.matches(second)).toBe(true);
    expect(file.matches(first)).toBe(false);
  });

  test.each([
    ['is gone', () => rmSync(path)],
    ['is empty for a moment', () => write('', 3)],
    ['holds two words', () => write('two-words of-which-none-is-it', 3)],
  ])('goes on with its token while the file %s', (_, change) => {
    const file = new TokenFile(path, () => nowMs);
    change();
    nowMs += 1001;
    expect(file.matches(first)).toBe(true);
    write(second, 4);
    nowMs += 1001;
    expect(file.matches(second)).toBe(true);
  });

  test('refuses to begin without its file, by name', () => {
    rmSync(path);
    expect(() => new TokenFile(path, () => nowMs)).toThrow(
      `Reading the token file "${path}" failed: ENOENT`,
    );
  });

  test.each([
    ['short', 'short'],
    ['empty', ''],
    ['in two lines', `${first}\n${second}`],
  ])('refuses to begin with a token that is %s', (_, text) => {
    write(text, 5);
    expect(() => new TokenFile(path, () => nowMs)).toThrow(
      `Reading the token file "${path}" failed`,
    );
  });
});

describe('checkAuthorization()', () => {
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
    const file = new TokenFile(path, () => nowMs);
    const check = () => checkAuthorization(header, file);
    if (isAllowed) expect(check).not.toThrow();
    else expect(check).toThrow('Authenticating the request failed');
  });
});
