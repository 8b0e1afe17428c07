/**
 * Files that give roles to keys, be they tokens or names of certificates. A line each:
 *
 *   <key> <role> [<host NQN>]
 *
 * The NQN stands with the role node, and only there. Blank lines and lines that begin with # count for nothing. No
 * message quotes a key: it may be a secret.
 */
import { type Caller, parseCaller } from './caller.ts';

/** Far more than a cluster has nodes; reading them takes some milliseconds. */
const linesMax = 20_000;

/**
 * Callers by key. A line of a key alone gives it `aloneRole`, where there is one.
 *
 * @param checkKey What is wrong with a key; undefined if nothing is.
 */
export function parseRoleLines(
  text: string,
  {
    aloneRole,
    checkKey,
  }: {
    readonly aloneRole?: string;
    readonly checkKey: (key: string) => string | undefined;
  },
): ReadonlyMap<string, Caller> {
  const lines = text.split('\n');
  if (lines.length > linesMax) throw new Error(`it has more than ${linesMax} lines`);
  const callers = new Map<string, Caller>();
  for (const [index, line] of lines.entries()) {
    const [key, role = aloneRole, hostNqn, ...more] = line.trim().split(/\s+/);
    if (key === undefined || key === '' || key.startsWith('#')) continue;
    const refuse = (why: string): Error => new Error(`line ${index + 1}: ${why}`);
    const wrong = checkKey(key);
    if (wrong !== undefined) throw refuse(wrong);
    if (role === undefined || more.length > 0) throw refuse('a role and, for a node, its host NQN');
    if (callers.has(key)) throw refuse('an earlier line is for the same');
    const caller = parseCaller(role, hostNqn);
    if (typeof caller === 'string') throw refuse(caller);
    callers.set(key, caller);
  }
  if (callers.size === 0) throw new Error('no line of it gives a role');
  return callers;
}
