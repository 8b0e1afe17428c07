import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { crdsFolder, renderCrds } from './generate-crds.ts';

describe('crds/', () => {
  test('holds what `npm run generate:crds` would write, and nothing else', () => {
    const held = new Map(
      readdirSync(crdsFolder).map((name) => [name, readFileSync(join(crdsFolder, name), 'utf8')]),
    );
    expect(held).toEqual(renderCrds());
  });
});
