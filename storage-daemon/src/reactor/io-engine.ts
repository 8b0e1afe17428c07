/**
 * How a reactor does its I/O: io_uring where the kernel permits it, Node's fs otherwise. The choice is made once, in
 * the reactor's thread, and told with its reason in the log, in `/v1/info` and in a metric.
 */
import { ProblemError } from '@varve/contract/problem';

import { type IoRing, openIoRing } from '../uring/io-ring.ts';
import { RingRefusedError } from '../uring/ring-refused-error.ts';
import type { IoEngineName, IoEngineSetting } from './messages.ts';

/** What a reactor does its I/O with. */
export interface IoEngine {
  readonly name: IoEngineName;
  /** Why it is this one. */
  readonly reason: string;
  /** Undefined with `fs`. */
  readonly ioRing: IoRing | undefined;
  /** Set if the setting asks for what cannot be had: the start fails with it. */
  readonly refusal: ProblemError | undefined;
}

/** Chooses by the setting and by what `open` can get. */
export function chooseIoEngine(
  setting: IoEngineSetting,
  open: () => IoRing = openIoRing,
): IoEngine {
  if (setting === 'fs') return fsEngine('the setting asks for it');
  try {
    const ioRing = open();
    return { name: 'io_uring', reason: 'the kernel permits it', ioRing, refusal: undefined };
  } catch (error) {
    if (!(error instanceof RingRefusedError)) throw error;
    if (setting === 'auto') return fsEngine(error.message);
    const refusal = new ProblemError(
      'failed-precondition',
      `Starting with --io-engine io_uring failed: ${error.message}; "auto" and "fs" do without`,
      { field: 'ioEngine' },
    );
    return { ...fsEngine(error.message), refusal };
  }
}

function fsEngine(reason: string): IoEngine {
  return { name: 'fs', reason, ioRing: undefined, refusal: undefined };
}
