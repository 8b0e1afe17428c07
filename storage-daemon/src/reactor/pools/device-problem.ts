/** Failures of devices as problems of the contract. */
import { ProblemError, type ProblemKind } from '@varve/contract/problem';

import { DeviceError } from '../../device/block-device.ts';
import { DeviceOpenError } from '../../device/device-open-error.ts';

const openKinds: Readonly<Record<DeviceOpenError['kind'], ProblemKind>> = {
  'not-found': 'not-found',
  'permission-denied': 'failed-precondition',
  'in-use': 'in-use',
  unsuitable: 'invalid-argument',
  io: 'unavailable',
};

/** Rethrows what a device said as a ProblemError; anything else as it is. */
export function throwDeviceProblem(error: unknown, field: string | undefined): never {
  if (error instanceof DeviceOpenError) {
    const blocker = error.kind === 'in-use' ? error.deviceName : undefined;
    throw new ProblemError(openKinds[error.kind], error.message, { field, blocker, cause: error });
  }
  if (error instanceof DeviceError) {
    throw new ProblemError('unavailable', error.message, { field, cause: error });
  }
  throw error;
}
