/** One exact change of one source file: how a bug is planted. */
import { assert } from '@varve/common/assert';

/** Environment variable that carries a patch to `planted-bug-loader`. */
export const patchVariable = 'VARVE_PLANTED_BUG';

/** Replaces `find` by `replace` in `file` (relative to `storage-daemon/src`). */
export interface SourcePatch {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/**
 * Applies a patch.
 *
 * @throws InvariantError unless the text is found exactly once: a patch that misses would test nothing.
 */
export function applyPatch(source: string, patch: SourcePatch): string {
  const parts = source.split(patch.find);
  assert(
    parts.length === 2,
    `planting a bug in ${patch.file}: found ${parts.length - 1} times, not once: ${patch.find}`,
  );
  assert(patch.find !== patch.replace, `planting a bug in ${patch.file}: nothing changes`);
  return parts.join(patch.replace);
}
