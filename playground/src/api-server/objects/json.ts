/**
 * JSON as the API server holds it: plain values, with one addition. Kubernetes integers are int64, and some
 * (a snapshot's creation time in nanoseconds) do not fit into a double, so an integer beyond 2^53 is a
 * `bigint` here, and goes out with the same digits.
 *
 * Stored values are shared between the store, its history and every watch: nobody changes them in place. A
 * writer clones first.
 */

/** A JSON value. */
export type Json = null | boolean | number | bigint | string | readonly Json[] | JsonObject;

/** A JSON object; an absent member reads as undefined. */
export interface JsonObject {
  readonly [member: string]: Json | undefined;
}

/** A JSON object under construction, owned by whoever builds it. */
export type MutableJsonObject = { [member: string]: Json | undefined };

interface RawJson {
  rawJSON(text: string): unknown;
}

interface ReviverContext {
  readonly source?: string;
}

const integer = /^-?\d+$/;
const maybeBeyondSafe = /\d{16,}/;

/** Parses JSON; integers that a double cannot hold become bigints. Throws a SyntaxError like JSON.parse. */
export function parseJson(text: string): Json {
  if (!maybeBeyondSafe.test(text)) return JSON.parse(text) as Json;
  const keepInteger = (_member: string, value: unknown, context?: ReviverContext): unknown => {
    const source = context?.source;
    const isLost = typeof value === 'number' && !Number.isSafeInteger(value);
    return isLost && source !== undefined && integer.test(source) ? BigInt(source) : value;
  };
  return JSON.parse(text, keepInteger) as Json;
}

/** Writes JSON with every integer's exact digits. */
export function formatJson(value: unknown): string {
  return JSON.stringify(value, (_member, inner: unknown) =>
    typeof inner === 'bigint' ? (JSON as unknown as RawJson).rawJSON(inner.toString()) : inner,
  );
}

/** Whether the value is a JSON object (not null, not a list). */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value as an object, or an empty one: for reading members that may be absent on any level. */
export function asObject(value: unknown): JsonObject {
  return isObject(value) ? value : {};
}

/** The value as a list, or an empty one. */
export function asList(value: unknown): readonly Json[] {
  return Array.isArray(value) ? (value as readonly Json[]) : [];
}

/** The value as a string, or undefined if it is anything else. */
export function asString(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** Reads a member on a path of member names; undefined where anything on the way is absent. */
export function readPath(value: unknown, ...path: readonly string[]): Json | undefined {
  let current = value as Json | undefined;
  for (const member of path) {
    if (!isObject(current)) return undefined;
    current = current[member];
  }
  return current;
}

/** A deep copy that the caller may change. */
export function cloneJson<T>(value: T): T {
  if (Array.isArray(value)) return value.map((item: unknown) => cloneJson(item)) as T;
  if (!isObject(value)) return value;
  const copy: MutableJsonObject = {};
  for (const [member, inner] of Object.entries(value)) {
    if (inner !== undefined) setMember(copy, member, cloneJson(inner));
  }
  return copy as T;
}

/** The value without members that are null, on every level. */
export function withoutNulls(value: Json): Json {
  if (Array.isArray(value)) return (value as readonly Json[]).map((item) => withoutNulls(item));
  if (!isObject(value)) return value;
  const result: MutableJsonObject = {};
  for (const [member, inner] of Object.entries(value)) {
    if (inner !== undefined && inner !== null) setMember(result, member, withoutNulls(inner));
  }
  return result;
}

/** Sets a member, also one called `__proto__`, which an assignment would not store. */
export function setMember(target: MutableJsonObject, member: string, value: Json): void {
  if (member === '__proto__') {
    Object.defineProperty(target, member, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    });
    return;
  }
  target[member] = value;
}

/**
 * Whether two JSON values are equal; members that are undefined count as absent, and their order does not
 * matter.
 */
export function equalJson(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  if (Array.isArray(left) || Array.isArray(right)) return equalLists(left, right);
  if (!isObject(left) || !isObject(right)) return equalNumbers(left, right);
  const leftMembers = Object.keys(left).filter((member) => left[member] !== undefined);
  const rightMembers = Object.keys(right).filter((member) => right[member] !== undefined);
  return (
    leftMembers.length === rightMembers.length &&
    leftMembers.every(
      (member) => Object.hasOwn(right, member) && equalJson(left[member], right[member]),
    )
  );
}

function equalLists(left: unknown, right: unknown): boolean {
  if (!Array.isArray(left) || !Array.isArray(right) || left.length !== right.length) return false;
  return left.every((item, index) => equalJson(item, right[index]));
}

function equalNumbers(left: unknown, right: unknown): boolean {
  const isMixed =
    (typeof left === 'bigint' && typeof right === 'number') ||
    (typeof left === 'number' && typeof right === 'bigint');
  // oxlint-disable-next-line eqeqeq -- a bigint and a number of the same value are the same JSON integer
  return isMixed && left == right;
}

/**
 * A value as text: strings as they are, numbers and booleans in digits and words, nothing as '', anything
 * else as JSON.
 */
export function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  return value === undefined || value === null ? '' : formatJson(value);
}
