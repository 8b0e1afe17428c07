/**
 * Evaluates parsed expressions. `&&` and `||` absorb an error of one side where the other decides, as CEL
 * says.
 */
import { CelError } from './cel-error.ts';
import { callFunction, isKnownFunction } from './functions.ts';
import type { CelNode } from './parser.ts';
import {
  celText,
  compareValues,
  equalValues,
  isNumeric,
  typeName,
  unescapeField,
  type CelValue,
} from './values.ts';

/** The variables of an expression. */
export type CelScope = ReadonlyMap<string, CelValue>;

/** Refuses, by name, functions and variables that no evaluation could resolve. */
export function checkNames(node: CelNode, variables: ReadonlySet<string>): void {
  switch (node.type) {
    case 'name':
      if (!variables.has(node.name)) {
        throw new CelError('syntax', `undeclared reference to '${node.name}' (in container '')`);
      }
      return;
    case 'call':
      if (!isKnownFunction(node.name)) {
        throw new CelError('unsupported', `function ${node.name} is not supported`);
      }
      for (const each of node.args) checkNames(each, variables);
      if (node.target !== undefined) checkNames(node.target, variables);
      return;
    case 'macro': {
      checkNames(node.target, variables);
      const inner = new Set(variables).add(node.variable);
      for (const body of node.bodies) checkNames(body, inner);
      return;
    }
    default:
      for (const child of childrenOf(node)) checkNames(child, variables);
  }
}

function childrenOf(node: CelNode): readonly CelNode[] {
  switch (node.type) {
    case 'select':
    case 'has':
    case 'unary':
      return [node.operand];
    case 'index':
      return [node.operand, node.index];
    case 'list':
      return node.items;
    case 'map':
      return node.entries.flat();
    case 'binary':
      return [node.left, node.right];
    case 'if':
      return [node.test, node.yes, node.no];
    default:
      return [];
  }
}

/** The value of an expression. Throws a CelError where it has none. */
export function evaluateCel(node: CelNode, scope: CelScope): CelValue {
  switch (node.type) {
    case 'literal':
      return node.value;
    case 'name':
      return variable(node.name, scope);
    case 'select':
      return member(evaluateCel(node.operand, scope), unescapeField(node.field));
    case 'has':
      return hasMember(evaluateCel(node.operand, scope), unescapeField(node.field));
    case 'index':
      return element(evaluateCel(node.operand, scope), evaluateCel(node.index, scope));
    case 'list':
      return node.items.map((item) => evaluateCel(item, scope));
    case 'map':
      return new Map(
        node.entries.map(([key, value]) => [
          celText(evaluateCel(key, scope)),
          evaluateCel(value, scope),
        ]),
      );
    case 'unary':
      return unary(node.operator, evaluateCel(node.operand, scope));
    case 'binary':
      return binary(node, scope);
    case 'if':
      return truth(evaluateCel(node.test, scope), '?:')
        ? evaluateCel(node.yes, scope)
        : evaluateCel(node.no, scope);
    case 'call': {
      const receiver = node.target === undefined ? [] : [evaluateCel(node.target, scope)];
      return callFunction(node.name, [
        ...receiver,
        ...node.args.map((each) => evaluateCel(each, scope)),
      ]);
    }
    default:
      return loop(node, scope);
  }
}

function variable(name: string, scope: CelScope): CelValue {
  const value = scope.get(name);
  if (value === undefined) {
    throw new CelError('evaluation', `no such attribute: ${name}`);
  }
  return value;
}

function member(operand: CelValue, field: string): CelValue {
  if (!(operand instanceof Map)) {
    throw new CelError('evaluation', `no such overload: ${typeName(operand)}.${field}`);
  }
  const value = (operand as ReadonlyMap<string, CelValue>).get(field);
  if (value === undefined) throw new CelError('evaluation', `no such key: ${field}`);
  return value;
}

function hasMember(operand: CelValue, field: string): boolean {
  if (operand instanceof Map) return operand.has(field);
  throw new CelError('evaluation', `no such overload: has(${typeName(operand)}.${field})`);
}

function element(operand: CelValue, index: CelValue): CelValue {
  if (operand instanceof Map && typeof index === 'string') return member(operand, index);
  if (!Array.isArray(operand) || !isNumeric(index)) {
    throw new CelError('evaluation', `no such overload: ${typeName(operand)}[${typeName(index)}]`);
  }
  const item = (operand as readonly CelValue[])[Number(index)];
  if (item === undefined) throw new CelError('evaluation', `index out of bounds: ${index}`);
  return item;
}

function truth(value: CelValue, operator: string): boolean {
  if (typeof value === 'boolean') return value;
  throw new CelError('evaluation', `no such overload: ${operator}(${typeName(value)})`);
}

function unary(operator: string, operand: CelValue): CelValue {
  if (operator === '!') return !truth(operand, '!');
  if (isNumeric(operand)) return -operand;
  throw new CelError('evaluation', `no such overload: -${typeName(operand)}`);
}

type BinaryNode = Extract<CelNode, { type: 'binary' }>;

function binary(node: BinaryNode, scope: CelScope): CelValue {
  const { operator } = node;
  if (operator === '&&' || operator === '||') return junction(node, scope);
  const left = evaluateCel(node.left, scope);
  const right = evaluateCel(node.right, scope);
  switch (operator) {
    case '==':
      return equalValues(left, right);
    case '!=':
      return !equalValues(left, right);
    case '<':
      return compareValues(left, right) < 0;
    case '<=':
      return compareValues(left, right) <= 0;
    case '>':
      return compareValues(left, right) > 0;
    case '>=':
      return compareValues(left, right) >= 0;
    case 'in':
      return isIn(left, right);
    default:
      return arithmetic(operator, left, right);
  }
}

function junction(node: BinaryNode, scope: CelScope): boolean {
  const decisive = node.operator === '||';
  let failure: CelError | undefined;
  for (const side of [node.left, node.right]) {
    try {
      if (truth(evaluateCel(side, scope), node.operator) === decisive) return decisive;
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
      failure = error;
    }
  }
  if (failure !== undefined) throw failure;
  return !decisive;
}

function isIn(wanted: CelValue, container: CelValue): boolean {
  if (container instanceof Map) return container.has(wanted);
  if (Array.isArray(container)) {
    return container.some((each) => equalValues(each as CelValue, wanted));
  }
  throw new CelError('evaluation', `no such overload: in ${typeName(container)}`);
}

function arithmetic(operator: string, left: CelValue, right: CelValue): CelValue {
  if (operator === '+') {
    if (typeof left === 'string' && typeof right === 'string') return left + right;
    if (Array.isArray(left) && Array.isArray(right)) return [...left, ...right] as CelValue[];
  }
  if (typeof left === 'bigint' && typeof right === 'bigint')
    return integerResult(operator, left, right);
  if (typeof left === 'number' && typeof right === 'number' && operator !== '%') {
    if (operator === '+') return left + right;
    if (operator === '-') return left - right;
    return operator === '*' ? left * right : left / right;
  }
  throw new CelError(
    'evaluation',
    `no such overload: ${typeName(left)} ${operator} ${typeName(right)}`,
  );
}

function integerResult(operator: string, left: bigint, right: bigint): bigint {
  if (operator === '+') return left + right;
  if (operator === '-') return left - right;
  if (operator === '*') return left * right;
  if (right === 0n) throw new CelError('evaluation', 'division by zero');
  return operator === '/' ? left / right : left % right;
}

type MacroNode = Extract<CelNode, { type: 'macro' }>;

function loop(node: MacroNode, scope: CelScope): CelValue {
  const target = evaluateCel(node.target, scope);
  const items = itemsOf(target, node.macro);
  const inner = (item: CelValue): CelScope => new Map(scope).set(node.variable, item);
  const [first, second] = node.bodies as [CelNode, CelNode | undefined];
  const holds = (item: CelValue): boolean => truth(evaluateCel(first, inner(item)), node.macro);
  switch (node.macro) {
    case 'all':
      return items.every(holds);
    case 'exists':
      return items.some(holds);
    case 'exists_one':
      return items.filter(holds).length === 1;
    case 'filter':
      return items.filter(holds);
    default:
      if (second === undefined) return items.map((item) => evaluateCel(first, inner(item)));
      return items.filter(holds).map((item) => evaluateCel(second, inner(item)));
  }
}

function itemsOf(target: CelValue, macro: string): readonly CelValue[] {
  if (Array.isArray(target)) return target as readonly CelValue[];
  if (target instanceof Map) return [...(target as ReadonlyMap<string, CelValue>).keys()];
  throw new CelError('evaluation', `no such overload: ${typeName(target)}.${macro}()`);
}
