/**
 * Roles of callers. What each may do stands at the routes.
 *
 * - `admin`: everything.
 * - `operator`: everything but formatting devices; what the operator in a cluster needs.
 * - `node`: the file system state of volumes that its own host may attach, and nothing else.
 * - `viewer`: reading, without changing anything.
 */
import { z } from 'zod';

/** A role. */
export const roleSchema = z.enum(['admin', 'operator', 'node', 'viewer']);

/** A role. */
export type Role = z.output<typeof roleSchema>;

/** All roles. */
export const roles: readonly Role[] = roleSchema.options;
