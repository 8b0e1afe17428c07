/** Options of a mount: the PersistentVolume's own, and what a file system needs besides. */
import { ProblemError } from '@varve/contract/problem';
import type { FilesystemType } from '../system/node-system.ts';

/** Many times what anybody gives. */
const optionLengthMax = 1024;

/**
 * The options to mount a file system with. xfs gets `nouuid`: a restored volume carries the UUID of its
 * source, and both must be mountable side by side.
 *
 * @throws ProblemError `invalid-argument` for an option that would mean another thing than it looks like.
 */
export function mountOptionsOf(
  type: FilesystemType,
  asked: readonly string[],
  isReadOnly: boolean,
): readonly string[] {
  for (const option of asked) {
    const isPlain = /^[\x21-\x7e]+$/.test(option) && option.length <= optionLengthMax;
    if (isPlain && !/^(bind|rbind|move|remount|loop|X-mount)\b/i.test(option)) continue;
    throw new ProblemError(
      'invalid-argument',
      `Mounting failed: the mount option ${JSON.stringify(option.slice(0, 100))} is not allowed; ` +
        'allowed are options of the file system without blanks',
      { field: 'mountOptions' },
    );
  }
  const own = [...(type === 'xfs' ? ['nouuid'] : []), ...(isReadOnly ? ['ro'] : [])];
  return [...new Set([...asked, ...own])];
}
