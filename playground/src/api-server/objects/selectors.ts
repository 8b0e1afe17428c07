/** Label and field selectors, as they stand in query parameters. */
import { badRequest } from './api-error.ts';
import { asObject, asString, readPath, type JsonObject } from './json.ts';

/** Says whether an object is selected. */
export type Selector = (object: JsonObject) => boolean;

const setRequirement = /^\s*([\w./-]+)\s+(in|notin)\s*\(([^()]*)\)\s*$/;
const equalRequirement = /^\s*([\w./-]+)\s*(==|=|!=)\s*([\w.-]*)\s*$/;
const existsRequirement = /^\s*(!?)\s*([\w./-]+)\s*$/;

/** Splits on commas that are not inside parentheses. */
function splitRequirements(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let index = 0; index <= text.length; index++) {
    const character = text[index];
    if (character === '(') depth++;
    if (character === ')') depth--;
    if (index === text.length || (character === ',' && depth === 0)) {
      parts.push(text.slice(start, index));
      start = index + 1;
    }
  }
  return parts.filter((part) => part.trim() !== '');
}

type LabelTest = (labels: JsonObject) => boolean;

function parseLabelRequirement(text: string): LabelTest {
  const inSet = setRequirement.exec(text);
  if (inSet !== null) {
    const [, key = '', operator, values = ''] = inSet;
    const allowed = new Set(values.split(',').map((value) => value.trim()));
    if (operator === 'in') return (labels) => allowed.has(asString(labels[key]) ?? '\0');
    return (labels) => !allowed.has(asString(labels[key]) ?? '\0');
  }
  const equal = equalRequirement.exec(text);
  if (equal !== null) {
    const [, key = '', operator, value] = equal;
    return (labels) => (labels[key] === value) === (operator !== '!=');
  }
  const exists = existsRequirement.exec(text);
  if (exists !== null) {
    const [, not, key = ''] = exists;
    return (labels) => (labels[key] !== undefined) === (not === '');
  }
  throw badRequest(`unable to parse requirement: ${JSON.stringify(text)} is no label requirement`);
}

/** Parses `app=db,tier in (a, b),!old`. */
export function parseLabelSelector(text: string): Selector {
  const tests = splitRequirements(text).map((part) => parseLabelRequirement(part));
  return (object) => {
    const labels = asObject(readPath(object, 'metadata', 'labels'));
    return tests.every((test) => test(labels));
  };
}

/** One term of a field selector. */
export interface FieldRequirement {
  readonly field: string;
  readonly isEqual: boolean;
  readonly value: string;
}

/** Parses `metadata.name=x,spec.nodeName!=`; a backslash escapes a comma, an equals sign or a backslash. */
export function parseFieldRequirements(text: string): FieldRequirement[] {
  const parts = text.split(/(?<!\\),/).filter((part) => part !== '');
  return parts.map((part) => {
    const match = /^([\w.[\]-]+)(==|=|!=)(.*)$/.exec(part);
    if (match === null) {
      throw badRequest(`invalid selector: '${text}'; can't understand '${part}'`);
    }
    const [, field = '', operator, value = ''] = match;
    return { field, isEqual: operator !== '!=', value: value.replace(/\\(.)/g, '$1') };
  });
}

/** Makes a selector of field requirements; only the fields that the kind offers may be named. */
export function createFieldSelector(
  text: string,
  selectable: ReadonlyMap<string, (object: JsonObject) => string>,
): Selector {
  const tests = parseFieldRequirements(text).map(({ field, isEqual, value }) => {
    const read = selectable.get(field);
    if (read === undefined) {
      const offered = [...selectable.keys()].map((each) => JSON.stringify(each)).join(', ');
      throw badRequest(`${JSON.stringify(field)} is not a known field selector: only ${offered}`);
    }
    return (object: JsonObject) => (read(object) === value) === isEqual;
  });
  return (object) => tests.every((test) => test(object));
}
