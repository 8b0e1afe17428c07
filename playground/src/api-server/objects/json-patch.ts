/** JSON patch (RFC 6902). */
import { badRequest, ApiError } from './api-error.ts';
import {
  asString,
  cloneJson,
  equalJson,
  isObject,
  setMember,
  type Json,
  type MutableJsonObject,
} from './json.ts';

/** A patch with more operations than this is refused, as kube-apiserver does. */
const operationCountMax = 10_000;

const rejected = 'the server rejected our request due to an error in our request';

/**
 * Applies the operations in order; the document itself stays as it is. Throws an ApiError if one cannot be
 * applied.
 */
export function applyJsonPatch(document: Json, patch: Json): Json {
  if (!Array.isArray(patch)) throw badRequest('a JSON patch must be a list of operations');
  if (patch.length > operationCountMax) {
    throw badRequest(
      `The allowed maximum operations in a JSON patch is ${operationCountMax}, got ${patch.length}`,
    );
  }
  let result = cloneJson(document);
  for (const operation of patch) result = applyOperation(result, operation as Json);
  return result;
}

function applyOperation(document: Json, operation: Json): Json {
  if (!isObject(operation)) throw badRequest('an operation of a JSON patch must be an object');
  const path = asString(operation['path']);
  if (path === undefined) throw badRequest('an operation of a JSON patch needs a path');
  const value = operation['value'];
  switch (operation['op']) {
    case 'add':
      return add(document, path, needed(value));
    case 'remove':
      return remove(document, path);
    case 'replace':
      return add(remove(document, path), path, needed(value));
    case 'move': {
      const from = asString(operation['from']) ?? '';
      const moved = read(document, from);
      return add(remove(document, from), path, moved);
    }
    case 'copy':
      return add(document, path, cloneJson(read(document, asString(operation['from']) ?? '')));
    case 'test':
      if (!equalJson(tryRead(document, path), value ?? null)) throw testFailed(path);
      return document;
    default:
      throw badRequest(`unknown operation ${JSON.stringify(operation['op'])} of a JSON patch`);
  }
}

function needed(value: Json | undefined): Json {
  if (value === undefined) throw badRequest('an operation of a JSON patch needs a value');
  return cloneJson(value);
}

function testFailed(path: string): ApiError {
  return new ApiError({
    code: 422,
    reason: 'Invalid',
    message: `${rejected}: testing value ${path} failed: test failed`,
  });
}

function missing(path: string): ApiError {
  return new ApiError({
    code: 422,
    reason: 'Invalid',
    message: `${rejected}: path ${path} does not exist`,
  });
}

function parsePointer(path: string): string[] {
  if (path === '') return [];
  if (!path.startsWith('/'))
    throw badRequest(`JSON pointer ${JSON.stringify(path)} must start with /`);
  return path
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function tryRead(document: Json, path: string): Json {
  let current: Json | undefined = document;
  for (const part of parsePointer(path)) {
    if (Array.isArray(current)) current = (current as readonly Json[])[Number(part)];
    else if (isObject(current)) current = current[part];
    else return null;
  }
  return current ?? null;
}

function read(document: Json, path: string): Json {
  let current: Json | undefined = document;
  for (const part of parsePointer(path)) {
    if (Array.isArray(current)) current = (current as readonly Json[])[Number(part)];
    else if (isObject(current)) current = current[part];
    else current = undefined;
    if (current === undefined) throw missing(path);
  }
  return current;
}

function parentOf(document: Json, parts: readonly string[], path: string): Json {
  let current: Json | undefined = document;
  for (const part of parts.slice(0, -1)) {
    if (Array.isArray(current)) current = (current as readonly Json[])[Number(part)];
    else if (isObject(current)) current = current[part];
    else current = undefined;
  }
  if (current === undefined || current === null) throw missing(path);
  return current;
}

function add(document: Json, path: string, value: Json): Json {
  const parts = parsePointer(path);
  const last = parts.at(-1);
  if (last === undefined) return value;
  const parent = parentOf(document, parts, path);
  if (Array.isArray(parent)) {
    const list = parent as Json[];
    const index = last === '-' ? list.length : Number(last);
    if (!Number.isInteger(index) || index < 0 || index > list.length) throw missing(path);
    list.splice(index, 0, value);
  } else if (isObject(parent)) {
    setMember(parent, last, value);
  } else {
    throw missing(path);
  }
  return document;
}

function remove(document: Json, path: string): Json {
  const parts = parsePointer(path);
  const last = parts.at(-1);
  if (last === undefined) return null;
  const parent = parentOf(document, parts, path);
  if (Array.isArray(parent)) {
    const index = Number(last);
    if (!Number.isInteger(index) || index < 0 || index >= parent.length) throw missing(path);
    (parent as Json[]).splice(index, 1);
  } else if (isObject(parent) && Object.hasOwn(parent, last)) {
    const owner: MutableJsonObject = parent;
    delete owner[last];
  } else {
    throw missing(path);
  }
  return document;
}
