/** Which status a host gets for a failure of the volume. Never one of type "path": Linux retries those for ever. */
import { assertNever } from '@varve/common/assert';

import { NvmeStatus, type NvmeStatusValue } from '../nvme-status.ts';
import type { NvmeFailure } from '../ports.ts';
import { IoOpcode } from '../wire-constants.ts';

/** The status of a failed command. */
export function failureStatus(
  opcode: number,
  { kind }: Pick<NvmeFailure, 'kind'>,
): NvmeStatusValue {
  switch (kind) {
    case 'out-of-range':
      return NvmeStatus.LBA_OUT_OF_RANGE;
    case 'read-only':
      return NvmeStatus.NAMESPACE_WRITE_PROTECTED;
    case 'no-space':
      return NvmeStatus.CAPACITY_EXCEEDED;
    case 'closed':
      return NvmeStatus.NAMESPACE_NOT_READY;
    case 'io': {
      const isRead =
        opcode === IoOpcode.READ || opcode === IoOpcode.COMPARE || opcode === IoOpcode.VERIFY;
      return isRead ? NvmeStatus.UNRECOVERED_READ_ERROR : NvmeStatus.WRITE_FAULT;
    }
    default:
      return assertNever(kind, 'failure of a volume');
  }
}
