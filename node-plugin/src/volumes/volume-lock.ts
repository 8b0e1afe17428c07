/** One call at a time for a volume: a second one is told to come again, as the CSI specification wants it. */
import { ProblemError } from '@varve/contract/problem';

/** Volumes that a call works on. */
export class VolumeLock {
  readonly #busy = new Map<string, string>();

  /** Runs a task unless another works on the volume. */
  async run<Result>(
    { volumeHandle, action }: { readonly volumeHandle: string; readonly action: string },
    task: () => Promise<Result>,
  ): Promise<Result> {
    const other = this.#busy.get(volumeHandle);
    if (other !== undefined) {
      throw new ProblemError(
        'aborted',
        `${action} ${volumeHandle} failed: an earlier call (${other}) is still at work on it; it is tried again`,
      );
    }
    this.#busy.set(volumeHandle, action);
    try {
      return await task();
    } finally {
      this.#busy.delete(volumeHandle);
    }
  }
}
