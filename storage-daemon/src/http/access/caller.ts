/** Who makes a call, once that is known. */
import { type Role, roles } from '@varve/contract/role';
import { hostNqnSchema } from '@varve/contract/host';
import { ProblemError } from '@varve/contract/problem';

/** Who makes a call. A node may touch what its host may attach. */
export type Caller =
  { readonly role: Exclude<Role, 'node'> } | { readonly role: 'node'; readonly hostNqn: string };

/** Who owns the process: whoever can open its unix socket. */
export const owner: Caller = { role: 'admin' };

/**
 * The caller of a role, and of a host if it is a node.
 *
 * @returns What is wrong if there is no such caller.
 */
export function parseCaller(role: string, hostNqn: string | undefined): Caller | string {
  const known = roles.find((each) => each === role);
  if (known === undefined) {
    return `there is no role ${JSON.stringify(role)}; allowed are ${roles.join(', ')}`;
  }
  if (known !== 'node') {
    return hostNqn === undefined ? { role: known } : `the role ${known} goes without a host NQN`;
  }
  if (hostNqn === undefined) return 'the role node needs the NQN of its host';
  const nqn = hostNqnSchema.safeParse(hostNqn);
  return nqn.success ? { role: known, hostNqn } : `the host NQN ${nqn.error.issues[0]?.message}`;
}

/** The host whose volumes a caller is bound to; undefined if to none. */
export function boundHost(caller: Caller): string | undefined {
  return caller.role === 'node' ? caller.hostNqn : undefined;
}

/** @throws ProblemError `permission-denied` unless the caller's role is among those. */
export function requireRole(action: string, caller: Caller, allowed: readonly Role[]): void {
  if (allowed.includes(caller.role)) return;
  throw new ProblemError(
    'permission-denied',
    `${action} failed: the role "${caller.role}" may not do that; needed is ${formatRoles(allowed)}`,
  );
}

function formatRoles(allowed: readonly Role[]): string {
  return new Intl.ListFormat('en', { type: 'disjunction' }).format(
    allowed.map((role) => `"${role}"`),
  );
}
