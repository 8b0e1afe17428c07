/** The user's page about the REST API says what the tables say. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';

import { problemTable } from './problem.ts';
import { roles } from './role.ts';
import { otherPaths, type Route, routes } from './routes.ts';

const page = readFileSync(resolve(import.meta.dirname, '../../docs/rest-api.md'), 'utf8');

describe('docs/rest-api.md', () => {
  test('has a line for each route, and for nothing else', () => {
    const shown = [...page.matchAll(/^\| `([A-Z]+ \/[^`]*)` \|/gm)].map(([, route]) =>
      String(route),
    );
    const expected = Object.values<Route>(routes).map(({ method, path }) => `${method} ${path}`);
    expect(shown.sort()).toEqual(expected.sort());
  });

  test('says which roles may call a route', () => {
    const letters = { admin: 'A', operator: 'O', node: 'N', viewer: 'V' } as const;
    for (const { method, path, isPublic, roles: allowed } of Object.values<Route>(routes)) {
      const line = page.split('\n').find((each) => each.startsWith(`| \`${method} ${path}\` |`));
      const names = roles.filter((role) => allowed.includes(role)).map((role) => letters[role]);
      expect(line?.split(' | ')[1]).toBe(isPublic ? 'all' : names.join(' '));
    }
  });

  test('names the paths that answer no JSON', () => {
    for (const path of Object.values(otherPaths)) expect(page).toContain(`\`GET ${path}\``);
  });

  test('names every field of a body that a route takes', () => {
    for (const { method, path, body } of Object.values<Route>(routes)) {
      if (body === undefined) continue;
      const line = page.split('\n').find((each) => each.startsWith(`| \`${method} ${path}\` |`));
      const { shape } = body as unknown as { readonly shape: Readonly<Record<string, unknown>> };
      for (const field of Object.keys(shape)) expect(line).toContain(field);
    }
  });

  test('has the table of problems, with status and gRPC code', () => {
    const shown = [...page.matchAll(/^\| `([a-z-]+)` \| (\d+) \| (\d+) \|/gm)].map(
      ([, kind, status, code]) => `${kind} ${status} ${code}`,
    );
    const expected = Object.entries(problemTable).map(
      ([kind, { httpStatus, grpcCode }]) => `${kind} ${httpStatus} ${grpcCode}`,
    );
    expect(shown.sort()).toEqual(expected.sort());
  });
});
