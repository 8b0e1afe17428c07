import type { Info } from '@varve/contract/info';
import type { Pool } from '@varve/contract/pool';
import type { ProblemError } from '@varve/contract/problem';
import type { StorageDaemon } from '../../kube/storage-daemon-kind.ts';

/** What asking the daemon gave. Absent parts were not asked for, because an earlier one failed. */
export interface Findings {
  readonly info?: Info;
  readonly pools?: readonly Pool[];
  /** Why it is not ready, though it answers. */
  readonly notReady?: ProblemError;
  /** What ended the asking. */
  readonly failure?: ProblemError;
}

/** Everything that the decision needs. */
export interface World {
  readonly daemon: StorageDaemon;
  readonly findings: Findings;
}
