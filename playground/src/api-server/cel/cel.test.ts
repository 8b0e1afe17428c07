import { describe, expect, test } from '@jest/globals';
import type { Json } from '../objects/json.ts';
import { CelError } from './cel-error.ts';
import { checkNames, evaluateCel } from './evaluate.ts';
import { parseCel } from './parser.ts';
import { toCelValue, type CelValue } from './values.ts';

function evaluate(text: string, self: Json = null, oldSelf?: Json): CelValue {
  const scope = new Map([['self', toCelValue(self, undefined)]]);
  if (oldSelf !== undefined) scope.set('oldSelf', toCelValue(oldSelf, undefined));
  return evaluateCel(parseCel(text), scope);
}

describe('expressions', () => {
  const cases: readonly (readonly [string, Json, unknown])[] = [
    ['1 + 2 * 3 == 7', null, true],
    ['7 / 2 == 3 && 7 % 2 == 1', null, true],
    ['-7 / 2 == -3', null, true],
    ['7.0 / 2.0 == 3.5', null, true],
    ['1 == 1.0', null, true],
    ['"a" + \'b\' == "ab"', null, true],
    ['r"\\d" == "\\\\d"', null, true],
    ['size("\\u00e9\\n\\x41") == 3 && "\\x41\\101" == "AA"', null, true],
    ['self.size > 3 ? "large" : "small"', { size: 4 }, 'large'],
    ['has(self.a) && !has(self.b)', { a: 1 }, true],
    ['self.items.all(i, i > 0) && self.items.exists(i, i == 2)', { items: [1, 2] }, true],
    ['self.items.exists_one(i, i == 2)', { items: [1, 2, 2] }, false],
    ['self.items.filter(i, i > 1).map(i, i * 2) == [4, 6]', { items: [1, 2, 3] }, true],
    ['self.items.map(i, i > 1, i) == [2]', { items: [1, 2] }, true],
    ['self.labels.all(key, key.startsWith("app"))', { labels: { app: 'x', apple: 'y' } }, true],
    ['"b" in self && 3 in [1, 3]', { b: 1 }, true],
    ['size(self.name) == 2 && self.list.size() == 1', { name: 'é!', list: [0] }, true],
    ['self.name.matches("^[a-z]+$") && self.name.contains("b")', { name: 'abc' }, true],
    ['self.__namespace__ == "x" && self.a__dash__b == 1', { namespace: 'x', 'a-b': 1 }, true],
    ['self["a b"] == 1 && self.list[1] == 2', { 'a b': 1, list: [1, 2] }, true],
    ['{"a": 1} == self', { a: 1 }, true],
    ['quantity("1Gi").isGreaterThan(quantity(self))', '1000Mi', true],
    ['isQuantity(self) && quantity(self).compareTo(quantity("1024Mi")) == 0', '1Gi', true],
    ['self == null || self.x == 1', null, true],
    ['"a,b".split(",").join("-") == "a-b" && " x ".trim() == "x"', null, true],
    ['[3, 1, 2].max() == 3 && [1, 2].sum() == 3 && [1, 2].isSorted()', null, true],
    ['string(5) + string(true) == "5true" && int("7") == 7', null, true],
    ['"hello".substring(1, 3) == "el" && "hello".indexOf("l") == 2', null, true],
    ['// a comment\n true', null, true],
  ];
  for (const [text, self, expected] of cases) {
    test(text, () => expect(evaluate(text, self)).toEqual(expected));
  }

  test('an error of one side is absorbed where the other side decides', () => {
    expect(evaluate('self.absent == 1 || true', {})).toBe(true);
    expect(evaluate('self.absent == 1 && false', {})).toBe(false);
    expect(() => evaluate('self.absent == 1 || false', {})).toThrow('no such key: absent');
  });
});

describe('errors', () => {
  const failing: readonly (readonly [string, string])[] = [
    ['1 + "a"', 'no such overload: int + string'],
    ['1 / 0', 'division by zero'],
    ['[1][3]', 'index out of bounds: 3'],
    ['1 < "a"', 'no such overload: int < string'],
    ['!1', 'no such overload: !(int)'],
    ['1 ? 2 : 3', 'no such overload: ?:(int)'],
    ['quantity("x")', '"x" is no quantity'],
  ];
  for (const [text, message] of failing) {
    test(`${text} fails`, () => expect(() => evaluate(text)).toThrow(message));
  }

  const unparsable: readonly (readonly [string, string])[] = [
    ['1 +', "mismatched input '<EOF>'"],
    ['(1', "expecting ')'"],
    ['"open', 'token recognition error'],
    ['has(self)', 'invalid argument to has() macro'],
    ['self.all(1, true)', 'invalid arguments to all() macro'],
    ['self.?field', 'optional selection'],
    ['1 2', "mismatched input '2'"],
  ];
  for (const [text, message] of unparsable) {
    test(`${text} does not parse`, () => {
      expect(() => parseCel(text)).toThrow(CelError);
      expect(() => parseCel(text)).toThrow(message);
    });
  }

  test('nesting that would exhaust the stack is refused', () => {
    expect(() => parseCel(`${'('.repeat(5000)}1${')'.repeat(5000)}`)).toThrow('nested more than');
  });

  test('functions and variables that do not exist are refused by name', () => {
    const check = (text: string): void => checkNames(parseCel(text), new Set(['self']));
    expect(() => check('self.x.fancy()')).toThrow('function fancy is not supported');
    expect(() => check('other == 1')).toThrow("undeclared reference to 'other'");
    expect(() => check('self.all(each, each == oldSelf)')).toThrow(
      "undeclared reference to 'oldSelf'",
    );
    expect(() => check('self.all(each, each > 1)')).not.toThrow();
  });
});
