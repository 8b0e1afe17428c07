/**
 * The connections of a reactor as its control side sees them. Both run on one thread and meet in the
 * `VolumeTable`: connections open volumes there; a delete or revert reserves its volume there, which is
 * refused while a connection has it open.
 */
import type { Info } from '@varve/contract/info';

import type { NvmeCounters } from '../nvmf/nvme-counters.ts';
import type { NodeName } from '../store/store-api.ts';
import type { HostFence } from './host-access.ts';
import type {
  AdoptedNbdClient,
  AdoptedNvmeQueue,
  NbdListenAddress,
  NvmeListenAddress,
} from './messages.ts';

/** Sockets and protocol cores. */
export interface ExportServer extends HostFence {
  /** Open connections now, whether they have chosen an export or not. */
  readonly connectionCount: number;
  /** Connections since the start whose host did not prove itself. */
  readonly authenticationFailureCount: number;
  /** What NVMe/TCP has counted. */
  readonly nvmeCounters: NvmeCounters;
  /** Where NVMe/TCP hosts connect; none until they may. */
  readonly nvmeAddresses: readonly NvmeListenAddress[];
  /** Listens for NBD clients; answers where. Rejects with a ProblemError if an address cannot be had. */
  listen(addresses: readonly NbdListenAddress[]): Promise<Info['exports']>;
  /**
   * Listens for NVMe/TCP hosts, in the same way. To be called when all pools that can be opened are open: a host gives
   * up a device that it does not find.
   */
  listenForNvme(addresses: readonly NvmeListenAddress[]): Promise<Info['exports']>;
  /** Where NVMe/TCP hosts connect, if others accept their connections. */
  noteNvmeAddresses(addresses: readonly NvmeListenAddress[]): undefined;
  /** Goes on with a client that another thread has accepted. */
  adoptNbdClient(client: AdoptedNbdClient): undefined;
  adoptNvmeQueue(queue: AdoptedNvmeQueue): undefined;
  /** Tells hosts that a volume has grown. */
  volumeResized(node: NodeName): void;
  /** Tells hosts that a volume or a grant is new or gone. */
  accessChanged(): void;
  /** Stops listening, and ends connections after the requests that they have sent. May be called twice. */
  close(): Promise<void>;
}
