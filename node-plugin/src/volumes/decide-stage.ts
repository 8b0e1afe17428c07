/** Whether a call to stage a volume agrees with what is known of it already. */
import type { StagedVolume } from '../state/staged-volume.ts';

/** What a call asks for, as far as it can disagree. */
export type StageWish = Pick<
  StagedVolume,
  'stagingPath' | 'access' | 'accessMode' | 'subsystemNqn' | 'namespaceUuid'
>;

/** Go on, or why not. */
export type StageDecision =
  | { readonly kind: 'go-on' }
  | {
      readonly kind: 'refuse';
      readonly problem: 'already-exists' | 'failed-precondition';
      readonly why: string;
    };

/** Compares a wish with the state; without a state everything is possible. */
export function decideStage(staged: StagedVolume | undefined, wish: StageWish): StageDecision {
  if (staged === undefined) return { kind: 'go-on' };
  if (staged.stagingPath !== wish.stagingPath) {
    return refuse('failed-precondition', `it is staged at ${staged.stagingPath}`);
  }
  if (JSON.stringify(staged.access) !== JSON.stringify(wish.access)) {
    return refuse('already-exists', `it is staged as ${JSON.stringify(staged.access)}`);
  }
  if (staged.accessMode !== wish.accessMode) {
    return refuse('already-exists', `it is staged with the access mode ${staged.accessMode}`);
  }
  if (staged.subsystemNqn !== wish.subsystemNqn || staged.namespaceUuid !== wish.namespaceUuid) {
    return refuse(
      'failed-precondition',
      `another volume, ${staged.subsystemNqn} with UUID ${staged.namespaceUuid}, is staged under its name`,
    );
  }
  return { kind: 'go-on' };
}

function refuse(problem: 'already-exists' | 'failed-precondition', why: string): StageDecision {
  return { kind: 'refuse', problem, why };
}
