/** What a target counts, for metrics. Everything but `controllers`, `discoveries` and `connections` only grows. */
import { NvmeStatus, type NvmeStatusValue } from './nvme-status.ts';

/** Names of the statuses that commands end with. */
export type NvmeStatusName = keyof typeof NvmeStatus;

/** Counts of a moment: plain numbers of a fixed shape. */
export interface NvmeCounters {
  /** Controllers of volumes. */
  readonly controllers: number;
  readonly discoveries: number;
  /** Each is one queue, connected yet or not. */
  readonly connections: number;
  readonly commands: Readonly<Record<NvmeQueueKind, number>>;
  /** Commands that were answered with each status. */
  readonly statuses: Readonly<Record<NvmeStatusName, number>>;
  /** Requests for data, R2T. */
  readonly dataRequests: number;
  /** Commands that waited for memory, or for the host to take replies. */
  readonly heldCommands: number;
  readonly headerDigestErrors: number;
  readonly dataDigestErrors: number;
  /** Connections that ended because the host broke the protocol, wrong header digests included. */
  readonly protocolErrors: number;
  /** Controllers that ended because their host was silent. */
  readonly keepAliveTimeouts: number;
  /** Connections that ended because the host took too long over what it had to send or take. */
  readonly slowHosts: number;
}

/** Where a command came by. */
export type NvmeQueueKind = 'admin' | 'io';

const statusEntries = Object.entries(NvmeStatus) as [NvmeStatusName, NvmeStatusValue][];
const statusesEnd = Math.max(...Object.values(NvmeStatus)) + 1;

/** Counts what happens on the queues of a target. */
export class NvmeTally {
  adminCommands = 0;
  ioCommands = 0;
  dataRequests = 0;
  heldCommands = 0;
  headerDigestErrors = 0;
  dataDigestErrors = 0;
  protocolErrors = 0;
  readonly #statuses = new Float64Array(statusesEnd);

  /** A command was answered. */
  answered(status: NvmeStatusValue): void {
    this.#statuses[status]!++;
  }

  /** Commands answered so, of each status. */
  readStatuses(): NvmeCounters['statuses'] {
    const counted = statusEntries.map(([name, value]) => [name, this.#statuses[value]!]);
    return Object.fromEntries(counted) as NvmeCounters['statuses'];
  }
}
