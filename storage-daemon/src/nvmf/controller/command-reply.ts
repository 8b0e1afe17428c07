/** How commands end, whatever kind they are of. */
import type { NvmeStatusValue } from '../nvme-status.ts';

/** How a command ends. */
export interface CommandReply {
  readonly status: NvmeStatusValue;
  readonly result?: number;
  readonly resultHigh?: number;
  /** Exactly as much as the host has room for. */
  readonly data?: Buffer;
}
