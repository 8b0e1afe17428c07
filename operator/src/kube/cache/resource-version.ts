const decimal = /^\d{1,20}$/;

/**
 * Compares two resourceVersions of one resource: negative when `left` is older. Undefined when either is
 * not a decimal number (the API leaves that open; every server in use counts, and Kubernetes 1.35 makes it
 * a rule). Callers take "cannot tell" as "what came last is the newest".
 */
export function compareResourceVersions(left: string, right: string): number | undefined {
  if (left === right) return 0;
  if (!decimal.test(left) || !decimal.test(right)) return undefined;
  const difference = BigInt(left) - BigInt(right);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}
