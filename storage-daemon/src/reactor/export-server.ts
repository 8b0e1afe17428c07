/**
 * The connections of a reactor as its control side sees them. Both run on one thread and meet in the
 * `VolumeTable`: connections open volumes there; a delete or revert reserves its volume there, which is
 * refused while a connection has it open.
 */
import type { Info } from '@varve/contract/info';

import type { HostFence } from './nvme/host-access.ts';
import type { NbdListenAddress } from './messages.ts';

/** Sockets and protocol cores. */
export interface ExportServer extends HostFence {
  /** Open connections now, whether they have chosen an export or not. */
  readonly connectionCount: number;
  /** Listens; answers where. Rejects with a ProblemError if an address cannot be had. */
  listen(addresses: readonly NbdListenAddress[]): Promise<Info['exports']>;
  /** Stops listening, and ends connections after the requests that they have sent. May be called twice. */
  close(): Promise<void>;
}
