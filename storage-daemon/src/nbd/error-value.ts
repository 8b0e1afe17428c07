/** Which error a client gets for a failure (proto, Error values; the situations are listed at each command). */
import { assertNever } from '@varve/common/assert';

import type { NbdFailure } from './volume-port.ts';
import { NbdCommand, NbdError, type NbdErrorValue } from './wire-constants.ts';

/** The error value of a failed request. */
export function errorValue(command: number, { kind }: Pick<NbdFailure, 'kind'>): NbdErrorValue {
  switch (kind) {
    case 'out-of-range':
      return command === NbdCommand.WRITE || command === NbdCommand.WRITE_ZEROES
        ? NbdError.ENOSPC
        : NbdError.EINVAL;
    case 'read-only':
      return NbdError.EPERM;
    case 'closed':
      return NbdError.ESHUTDOWN;
    case 'no-space':
      return NbdError.ENOSPC;
    case 'io':
      return NbdError.EIO;
    default:
      return assertNever(kind, 'failure of a volume');
  }
}
