import type { DaemonClient } from '@varve/contract/client/daemon-client';

/** Clients of the storage daemons, by the name of their StorageDaemon object. */
export interface Daemons {
  /**
   * The client of a daemon. It is renewed when the object's endpoint or credentials change, so ask for it
   * in every pass and do not keep it.
   *
   * @throws ProblemError of kind `unavailable` when there is no such StorageDaemon, or its endpoint or
   * credentials cannot be used; the message says which and why.
   */
  clientOf(daemonName: string): Promise<DaemonClient>;
}
