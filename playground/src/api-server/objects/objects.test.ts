import { describe, expect, test } from '@jest/globals';
import { assert, jsonValue, property } from 'fast-check';
import { applyJsonPatch } from './json-patch.ts';
import { cloneJson, equalJson, formatJson, parseJson, type Json } from './json.ts';
import { formatDuration } from './human-duration.ts';
import { applyMergePatch } from './merge-patch.ts';
import { labelNameError, labelValueError, qualifiedNameError, subdomainError } from './names.ts';
import { compareQuantities, parseQuantity, parseQuantityMilli } from './quantity.ts';
import { parseLabelSelector } from './selectors.ts';
import { applyStrategicMergePatch } from './strategic-merge-patch.ts';

describe('JSON', () => {
  test('keeps the digits of integers beyond 2^53, and nothing else is a bigint', () => {
    const text =
      '{"large":1795474123456789013,"small":-5,"double":1.5e300,"text":"12345678901234567890"}';
    const value = parseJson(text);
    expect(value).toEqual({
      large: 1795474123456789013n,
      small: -5,
      double: 1.5e300,
      text: '12345678901234567890',
    });
    expect(formatJson(value)).toBe(
      '{"large":1795474123456789013,"small":-5,"double":1.5e+300,"text":"12345678901234567890"}',
    );
  });

  test('a clone is equal and shares nothing; __proto__ is a member like any other', () => {
    assert(
      property(jsonValue(), (value) => {
        const copy = cloneJson(value as Json);
        expect(equalJson(copy, value)).toBe(true);
        if (typeof value === 'object' && value !== null) expect(copy).not.toBe(value);
      }),
    );
    const tricky = parseJson('{"__proto__":{"a":1}}');
    expect(formatJson(cloneJson(tricky))).toBe('{"__proto__":{"a":1}}');
  });

  test('equality ignores the order of members and tells absent from null', () => {
    expect(equalJson({ a: 1, b: [1n] }, { b: [1], a: 1 })).toBe(true);
    expect(equalJson({ a: undefined }, {})).toBe(true);
    expect(equalJson({ a: null }, {})).toBe(false);
    expect(equalJson([1, 2], [2, 1])).toBe(false);
  });
});

describe('quantities', () => {
  const values: readonly (readonly [unknown, bigint | undefined])[] = [
    ['256Mi', 268435456n],
    ['1.5Gi', 1610612736n],
    ['2k', 2000n],
    ['1e3', 1000n],
    ['1E', 1000000000000000000n],
    ['100m', 1n],
    ['1n', 1n],
    ['0.5', 1n],
    [5, 5n],
    ['-1', -1n],
    ['', undefined],
    ['Mi', undefined],
    ['1KB', undefined],
    ['1e999999999', undefined],
    [null, undefined],
  ];
  for (const [text, value] of values) {
    test(`${formatJson(text)} is ${value}`, () => expect(parseQuantity(text)).toBe(value));
  }

  test('are compared by value', () => {
    expect(compareQuantities('1Gi', '1024Mi')).toBe(0);
    expect(compareQuantities('1G', '1Gi')).toBe(-1);
    expect(parseQuantityMilli('1500m')).toBe(1500n);
  });
});

describe('names', () => {
  test('are judged by the grammars of Kubernetes', () => {
    expect(subdomainError('csi.varve.dev')).toBeUndefined();
    expect(subdomainError('a..b')).toContain('RFC 1123 subdomain');
    expect(subdomainError('x'.repeat(254))).toContain('no more than 253');
    expect(labelNameError('a.b')).toContain('RFC 1123 label');
    expect(qualifiedNameError('example.dev/hold')).toBeUndefined();
    expect(qualifiedNameError('a/b/c')).toBeDefined();
    expect(qualifiedNameError('/b')).toContain('prefix part must be non-empty');
    expect(qualifiedNameError('example.dev/')).toContain('name part must be non-empty');
    expect(labelValueError('')).toBeUndefined();
    expect(labelValueError('no spaces')).toContain('valid label');
  });
});

describe('label selectors', () => {
  const object = { metadata: { labels: { app: 'db', tier: 'back' } } };
  const cases: readonly (readonly [string, boolean])[] = [
    ['', true],
    ['app=db', true],
    ['app==db,tier!=front', true],
    ['app in (web, db)', true],
    ['app notin (web)', true],
    ['absent notin (web)', true],
    ['absent!=x', true],
    ['app,!absent', true],
    ['!app', false],
    ['app=', false],
  ];
  for (const [text, expected] of cases) {
    test(`"${text}" ${expected ? 'selects' : 'does not select'}`, () => {
      expect(parseLabelSelector(text)(object)).toBe(expected);
    });
  }

  test('what is no selector is refused', () => {
    expect(() => parseLabelSelector('a b')).toThrow('unable to parse requirement');
  });
});

describe('a merge patch', () => {
  test('deletes by null, replaces lists, and leaves its document alone (RFC 7386, appendix A)', () => {
    const document = { a: 'b', c: { d: 'e', f: 'g' }, l: [1, 2] };
    expect(
      applyMergePatch(document, { a: 'z', c: { f: null }, l: [3], n: { x: null, y: 1 } }),
    ).toEqual({
      a: 'z',
      c: { d: 'e' },
      l: [3],
      n: { y: 1 },
    });
    expect(document).toEqual({ a: 'b', c: { d: 'e', f: 'g' }, l: [1, 2] });
  });
});

describe('a JSON patch', () => {
  test('applies its operations in order (RFC 6902)', () => {
    const document = { list: [1, 3], 'a/b': { '~': 1 } };
    const result = applyJsonPatch(document, [
      { op: 'test', path: '/list/0', value: 1 },
      { op: 'add', path: '/list/1', value: 2 },
      { op: 'add', path: '/list/-', value: 4 },
      { op: 'remove', path: '/list/0' },
      { op: 'replace', path: '/a~1b/~0', value: 2 },
      { op: 'copy', from: '/a~1b', path: '/copy' },
      { op: 'move', from: '/a~1b', path: '/moved' },
    ]);
    expect(result).toEqual({ list: [2, 3, 4], copy: { '~': 2 }, moved: { '~': 2 } });
    expect(document).toEqual({ list: [1, 3], 'a/b': { '~': 1 } });
  });

  const refused: readonly (readonly [string, Json, string])[] = [
    ['a failed test', [{ op: 'test', path: '/a', value: 2 }], 'testing value /a failed'],
    ['a path that is not there', [{ op: 'remove', path: '/b' }], 'path /b does not exist'],
    [
      'an index beyond the list',
      [{ op: 'add', path: '/list/5', value: 1 }],
      'path /list/5 does not exist',
    ],
    ['a missing value', [{ op: 'add', path: '/b' }], 'needs a value'],
    ['an unknown operation', [{ op: 'frob', path: '/a' }], 'unknown operation "frob"'],
    ['a path without a slash', [{ op: 'remove', path: 'a' }], 'must start with /'],
    ['something that is no list', { op: 'remove', path: '/a' }, 'must be a list of operations'],
  ];
  for (const [what, patch, message] of refused) {
    test(`is refused for ${what}`, () => {
      expect(() => applyJsonPatch({ a: 1, list: [] }, patch)).toThrow(message);
    });
  }
});

describe('a strategic merge patch', () => {
  const schema = {
    properties: {
      containers: {
        type: 'array',
        'x-kubernetes-patch-strategy': 'merge',
        'x-kubernetes-patch-merge-key': 'name',
        items: { type: 'object' },
      },
      finalizers: { type: 'array', 'x-kubernetes-patch-strategy': 'merge' },
      args: { type: 'array' },
    },
  };
  const document = {
    containers: [
      { name: 'a', image: '1' },
      { name: 'b', image: '1' },
    ],
    finalizers: ['x', 'y'],
    args: [1, 2],
  };
  const apply = (patch: Json): Json => applyStrategicMergePatch(document, patch, schema);

  test('merges lists by their key, sets by value, and replaces other lists', () => {
    expect(
      apply({
        containers: [{ name: 'b', image: '2' }, { name: 'c' }],
        finalizers: ['z', 'x'],
        args: [3],
      }),
    ).toEqual({
      containers: [{ name: 'a', image: '1' }, { name: 'b', image: '2' }, { name: 'c' }],
      finalizers: ['z', 'x', 'y'],
      args: [3],
    });
  });

  test('obeys its directives', () => {
    expect(apply({ containers: [{ name: 'a', $patch: 'delete' }] })).toMatchObject({
      containers: [{ name: 'b' }],
    });
    expect(apply({ containers: [{ $patch: 'replace' }, { name: 'z' }] })).toMatchObject({
      containers: [{ name: 'z' }],
    });
    expect(apply({ '$deleteFromPrimitiveList/finalizers': ['x'] })).toMatchObject({
      finalizers: ['y'],
    });
    expect(
      apply({
        containers: [{ name: 'c' }],
        '$setElementOrder/containers': [{ name: 'c' }, { name: 'b' }, { name: 'a' }],
      }),
    ).toMatchObject({ containers: [{ name: 'c' }, { name: 'b' }, { name: 'a' }] });
    expect(apply({ $retainKeys: ['args'] })).toEqual({ args: [1, 2] });
    expect(apply({ $patch: 'replace', args: [] })).toEqual({ args: [] });
  });

  test('refuses an item without its key', () => {
    expect(() => apply({ containers: [{ image: '3' }] })).toThrow(
      'does not contain declared merge key: name',
    );
  });
});

describe('ages', () => {
  const cases: readonly (readonly [number, string])[] = [
    [-5, '<invalid>'],
    [0, '0s'],
    [119, '119s'],
    [120, '2m'],
    [200, '3m20s'],
    [600, '10m'],
    [3 * 3600, '3h'],
    [3 * 3600 + 61, '3h1m'],
    [47 * 3600, '47h'],
    [50 * 3600, '2d2h'],
    [20 * 86400, '20d'],
    [800 * 86400, '2y70d'],
  ];
  for (const [seconds, text] of cases) {
    test(`${seconds} s is shown as ${text}`, () =>
      expect(formatDuration(seconds * 1000)).toBe(text));
  }
});
