/** Splits a CEL expression into tokens (cel-spec, "Syntax"). */
import { CelError } from './cel-error.ts';

/** One token; `text` is the value of a string, the digits of a number, the name or the operator. */
export interface Token {
  readonly type: 'int' | 'double' | 'string' | 'name' | 'operator' | 'end';
  readonly text: string;
  readonly position: number;
}

const space = /(?:\s|\/\/[^\n]*)+/y;
const double = /\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?/y;
const int = /0x[0-9a-fA-F]+|\d+/y;
const name = /[A-Za-z_]\w*/y;
const string =
  /([rR]?)(?:"""((?:[^\\]|\\[^])*?)"""|'''((?:[^\\]|\\[^])*?)'''|"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)')/y;
const operator = /==|!=|<=|>=|&&|\|\||[-+*/%<>!?:.,()[\]{}]/y;

const escapes: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** The tokens of the text, closed by one of type `end`. */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let position = 0;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = position;
    return pattern.exec(text);
  };
  for (;;) {
    position += match(space)?.[0].length ?? 0;
    if (position >= text.length) break;
    const found = nextToken(match, position);
    if (found === undefined) {
      throw new CelError(
        'syntax',
        `Syntax error: token recognition error at: '${text.slice(position)}'`,
      );
    }
    tokens.push(found.token);
    position += found.length;
  }
  tokens.push({ type: 'end', text: '<EOF>', position });
  return tokens;
}

function nextToken(
  match: (pattern: RegExp) => RegExpExecArray | null,
  position: number,
): { token: Token; length: number } | undefined {
  const quoted = match(string);
  if (quoted !== null) {
    const [whole, raw, ...bodies] = quoted;
    const body = bodies.find((each) => each !== undefined) ?? '';
    const text = raw === '' ? unescapeString(body) : body;
    return { token: { type: 'string', text, position }, length: whole.length };
  }
  for (const [type, pattern] of [
    ['double', double],
    ['int', int],
    ['name', name],
    ['operator', operator],
  ] as const) {
    const found = match(pattern);
    if (found !== null) {
      return { token: { type, text: found[0], position }, length: found[0].length };
    }
  }
  return undefined;
}

/** An escape sequence by its first character: the digits that follow and their base, or a letter for itself. */
function unescapeString(body: string): string {
  const sequence = /\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}|[0-3][0-7]{2}|[^])/g;
  return body.replaceAll(sequence, (_whole, escape: string) => {
    if (escape.length === 1) return escapes[escape] ?? escape;
    const isOctal = /^[0-3]/.test(escape);
    const code = isOctal ? Number.parseInt(escape, 8) : Number.parseInt(escape.slice(1), 16);
    return String.fromCodePoint(code);
  });
}
