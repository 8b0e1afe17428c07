/**
 * Who is the cluster's snapshot controller: the one controller that binds VolumeSnapshots to contents, for all
 * drivers. Two of them at once overwrite each other's finalizers and errors, and in the worst case leave a content
 * behind that nobody deletes. So ours works only while the role is known to be ours, and stops in the middle of a
 * pass, without another write, when a foreign one shows itself. All state is in the objects: nothing is handed over.
 */
import type { Clock } from '@varve/common/clock';
import type { Logger } from '@varve/common/logger';

/** Whose the role is. */
export type SnapshotRoleState = 'undecided' | 'ours' | 'foreign';

/** What controllers look at. */
export interface SnapshotRoleView {
  readonly state: SnapshotRoleState;
  /** Until when it will be known at the latest, while it is undecided. */
  readonly decidedByMs: number | undefined;
}

/** A view for controllers that nobody contests. */
export const uncontestedRole: SnapshotRoleView = { state: 'ours', decidedByMs: undefined };

/** Thrown instead of a write when the role was lost during a pass. */
export class RoleLostError extends Error {
  override readonly name = 'RoleLostError';
  readonly kind = 'role-lost';
}

/** See the file's head. */
export class SnapshotRole implements SnapshotRoleView {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #listeners: ((state: SnapshotRoleState) => void)[] = [];
  #state: SnapshotRoleState = 'undecided';
  #decidedByMs: number | undefined;
  #lastSightingMs = Number.NEGATIVE_INFINITY;

  constructor(dependencies: { readonly clock: Clock; readonly log: Logger }) {
    this.#clock = dependencies.clock;
    this.#log = dependencies.log;
  }

  get state(): SnapshotRoleState {
    return this.#state;
  }

  get decidedByMs(): number | undefined {
    return this.#decidedByMs;
  }

  /** How long no foreign controller has been seen. */
  get quietMs(): number {
    return this.#clock.monotonicMs() - this.#lastSightingMs;
  }

  /** Is told of every change, after it. */
  onChange(listener: (state: SnapshotRoleState) => void): void {
    this.#listeners.push(listener);
  }

  /** Nobody else has the role. */
  take(because: string): void {
    this.#change('ours', because);
  }

  /** A foreign controller works, or the role is given up for good. */
  yield(because: string): void {
    this.#lastSightingMs = this.#clock.monotonicMs();
    this.#change('foreign', because);
  }

  /** It is being found out; `durationMs` is the longest that takes. */
  doubt(durationMs: number, because: string): void {
    this.#decidedByMs = this.#clock.nowMs() + durationMs;
    this.#change('undecided', because);
  }

  #change(state: SnapshotRoleState, because: string): void {
    if (state !== 'undecided') this.#decidedByMs = undefined;
    if (this.#state === state) return;
    this.#state = state;
    this.#log.info({ role: state, because }, 'the role of the snapshot controller changed');
    for (const listener of this.#listeners) listener(state);
  }
}
