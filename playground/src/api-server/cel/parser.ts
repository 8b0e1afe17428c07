/**
 * Parses CEL expressions into trees (cel-spec, "Grammar"). Optional syntax (`.?`, `[?`) and messages are
 * refused by name.
 */
import { CelError } from './cel-error.ts';
import { tokenize, type Token } from './tokens.ts';

/** The macros that make a loop of a list or of a map's keys. */
export type MacroName = 'all' | 'exists' | 'exists_one' | 'map' | 'filter';

/** A node of an expression. */
export type CelNode =
  | { readonly type: 'literal'; readonly value: null | boolean | bigint | number | string }
  | { readonly type: 'name'; readonly name: string }
  | { readonly type: 'select'; readonly operand: CelNode; readonly field: string }
  | { readonly type: 'has'; readonly operand: CelNode; readonly field: string }
  | { readonly type: 'index'; readonly operand: CelNode; readonly index: CelNode }
  | { readonly type: 'list'; readonly items: readonly CelNode[] }
  | { readonly type: 'map'; readonly entries: readonly (readonly [CelNode, CelNode])[] }
  | { readonly type: 'unary'; readonly operator: string; readonly operand: CelNode }
  | {
      readonly type: 'binary';
      readonly operator: string;
      readonly left: CelNode;
      readonly right: CelNode;
    }
  | { readonly type: 'if'; readonly test: CelNode; readonly yes: CelNode; readonly no: CelNode }
  | {
      readonly type: 'call';
      readonly name: string;
      readonly target: CelNode | undefined;
      readonly args: readonly CelNode[];
    }
  | {
      readonly type: 'macro';
      readonly macro: MacroName;
      readonly target: CelNode;
      readonly variable: string;
      readonly bodies: readonly CelNode[];
    };

const macros: ReadonlySet<string> = new Set(['all', 'exists', 'exists_one', 'map', 'filter']);

/** Operators from the loosest to the tightest. */
const levels: readonly (readonly string[])[] = [
  ['||'],
  ['&&'],
  ['==', '!=', '<', '<=', '>', '>=', 'in'],
  ['+', '-'],
  ['*', '/', '%'],
];

/** Nesting deeper than this is refused: it would exhaust the stack before it meant anything. */
const depthMax = 200;

/** Parses an expression. Throws a CelError of kind `syntax` or `unsupported`. */
export function parseCel(text: string): CelNode {
  return new Parser(tokenize(text)).parse();
}

class Parser {
  readonly #tokens: readonly Token[];
  #position = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  parse(): CelNode {
    const node = this.#expression();
    if (this.#peek().type !== 'end') throw this.#unexpected();
    return node;
  }

  #peek(): Token {
    return this.#tokens[this.#position] as Token;
  }

  #isNext(text: string): boolean {
    const token = this.#peek();
    return token.text === text && (token.type === 'operator' || token.type === 'name');
  }

  #take(text: string): boolean {
    if (!this.#isNext(text)) return false;
    this.#position++;
    return true;
  }

  #expect(text: string): void {
    if (!this.#take(text)) throw this.#unexpected(text);
  }

  #unexpected(wanted?: string): CelError {
    const { text, position } = this.#peek();
    const expecting = wanted === undefined ? '' : ` expecting '${wanted}'`;
    return new CelError(
      'syntax',
      `Syntax error: mismatched input '${text}' at ${position}${expecting}`,
    );
  }

  #expression(): CelNode {
    if (++this.#depth > depthMax) {
      throw new CelError('syntax', `Syntax error: nested more than ${depthMax} deep`);
    }
    const test = this.#binary(0);
    let node = test;
    if (this.#take('?')) {
      const yes = this.#binary(0);
      this.#expect(':');
      node = { type: 'if', test, yes, no: this.#expression() };
    }
    this.#depth--;
    return node;
  }

  #binary(level: number): CelNode {
    const operators = levels[level];
    if (operators === undefined) return this.#unary();
    let left = this.#binary(level + 1);
    for (;;) {
      const operator = operators.find((each) => this.#isNext(each));
      if (operator === undefined) return left;
      this.#position++;
      left = { type: 'binary', operator, left, right: this.#binary(level + 1) };
    }
  }

  #unary(): CelNode {
    for (const operator of ['!', '-']) {
      if (this.#take(operator)) return { type: 'unary', operator, operand: this.#unary() };
    }
    return this.#member(this.#primary());
  }

  #member(start: CelNode): CelNode {
    let node = start;
    for (;;) {
      if (this.#take('.')) {
        node = this.#selection(node);
      } else if (this.#take('[')) {
        this.#refuseOptional();
        node = { type: 'index', operand: node, index: this.#expression() };
        this.#expect(']');
      } else {
        return node;
      }
    }
  }

  #refuseOptional(): void {
    if (this.#isNext('?')) {
      throw new CelError('unsupported', 'optional selection (".?", "[?]") is not supported');
    }
  }

  #selection(operand: CelNode): CelNode {
    this.#refuseOptional();
    const token = this.#peek();
    if (token.type !== 'name') throw this.#unexpected('a field name');
    this.#position++;
    if (!this.#take('(')) return { type: 'select', operand, field: token.text };
    const args = this.#list(')');
    if (macros.has(token.text)) return macroNode(token.text as MacroName, operand, args);
    return { type: 'call', name: token.text, target: operand, args };
  }

  #list(close: string): CelNode[] {
    const items: CelNode[] = [];
    while (!this.#take(close)) {
      items.push(this.#expression());
      if (!this.#take(',')) {
        this.#expect(close);
        break;
      }
    }
    return items;
  }

  #primary(): CelNode {
    const token = this.#peek();
    this.#position++;
    switch (token.type) {
      case 'int':
        return { type: 'literal', value: BigInt(token.text) };
      case 'double':
        return { type: 'literal', value: Number(token.text) };
      case 'string':
        return { type: 'literal', value: token.text };
      case 'name':
        return this.#named(token.text);
      case 'operator':
        return this.#grouped(token.text);
      default:
        this.#position--;
        throw this.#unexpected();
    }
  }

  #named(name: string): CelNode {
    if (name === 'true' || name === 'false') return { type: 'literal', value: name === 'true' };
    if (name === 'null') return { type: 'literal', value: null };
    if (!this.#take('(')) return { type: 'name', name };
    const args = this.#list(')');
    if (name !== 'has') return { type: 'call', name, target: undefined, args };
    const [argument] = args;
    if (args.length !== 1 || argument?.type !== 'select') {
      throw new CelError('syntax', 'invalid argument to has() macro: a field selection is wanted');
    }
    return { type: 'has', operand: argument.operand, field: argument.field };
  }

  #grouped(operator: string): CelNode {
    if (operator === '(') {
      const node = this.#expression();
      this.#expect(')');
      return node;
    }
    if (operator === '[') return { type: 'list', items: this.#list(']') };
    if (operator === '{') {
      const entries: (readonly [CelNode, CelNode])[] = [];
      while (!this.#take('}')) {
        const key = this.#expression();
        this.#expect(':');
        entries.push([key, this.#expression()]);
        if (!this.#take(',')) {
          this.#expect('}');
          break;
        }
      }
      return { type: 'map', entries };
    }
    this.#position--;
    throw this.#unexpected();
  }
}

function macroNode(macro: MacroName, target: CelNode, args: readonly CelNode[]): CelNode {
  const [variable, ...bodies] = args;
  const isFit = bodies.length === 1 || (macro === 'map' && bodies.length === 2);
  if (variable?.type !== 'name' || !isFit) {
    throw new CelError(
      'syntax',
      `invalid arguments to ${macro}() macro: a variable and an expression are wanted`,
    );
  }
  return { type: 'macro', macro, target, variable: variable.name, bodies };
}
