/** Whether a volume may be shown to a pod at a path, next to where it is shown already. */
import type { StagedVolume } from '../state/staged-volume.ts';

/** What a call asks for. */
export interface PublishWish {
  readonly targetPath: string;
  readonly accessKind: 'mount' | 'block';
  readonly accessMode: string;
  readonly readOnly: boolean;
}

/** Go on, or why not. */
export type PublishDecision =
  | { readonly kind: 'go-on' }
  | {
      readonly kind: 'refuse';
      readonly problem: 'already-exists' | 'failed-precondition' | 'invalid-argument';
      readonly why: string;
    };

/**
 * Two pods of one node may share a volume: kubelet does that for ReadWriteOnce, and the CSI specification's
 * FAILED_PRECONDITION for it is kept for ReadWriteOncePod alone.
 */
export function decidePublish(staged: StagedVolume, wish: PublishWish): PublishDecision {
  if (staged.access.kind !== wish.accessKind) {
    return refuse('already-exists', `it is staged for ${staged.access.kind} access`);
  }
  if (wish.accessKind === 'block' && wish.readOnly) {
    return refuse(
      'invalid-argument',
      'a raw block device cannot be given to a pod for reading only; give it without readOnly',
    );
  }
  const same = staged.published.find((each) => each.targetPath === wish.targetPath);
  if (same !== undefined) {
    if (same.readOnly === wish.readOnly && same.accessMode === wish.accessMode) {
      return { kind: 'go-on' };
    }
    return refuse(
      'already-exists',
      `it is there already, ${same.readOnly ? 'read-only' : 'writable'} with ${same.accessMode}`,
    );
  }
  const [other] = staged.published;
  if (other !== undefined && wish.accessMode === 'SINGLE_NODE_SINGLE_WRITER') {
    return refuse('failed-precondition', `one pod only may have it, and ${other.targetPath} does`);
  }
  return { kind: 'go-on' };
}

function refuse(
  problem: 'already-exists' | 'failed-precondition' | 'invalid-argument',
  why: string,
): PublishDecision {
  return { kind: 'refuse', problem, why };
}
