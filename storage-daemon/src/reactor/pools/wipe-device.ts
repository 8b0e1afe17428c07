/**
 * Clears the places where signatures lie, before a format: what was quoted with `force` must not be found
 * again later, e.g. the backup of a partition table at the very end, which the pool itself never writes.
 */
import type { BlockDevice, DeviceError } from '../../device/block-device.ts';
import { signatureHeadBytes, signatureTailBytes } from './device-signature.ts';

/** Zeroes the beginning and the end, durably. */
export async function wipeDevice(device: BlockDevice): Promise<void> {
  const headBytes = Math.min(signatureHeadBytes, device.sizeBytes);
  const tailBytes = Math.min(signatureTailBytes, device.sizeBytes);
  await settled((done) => device.write(0, new Uint8Array(headBytes), false, done));
  await settled((done) =>
    device.write(device.sizeBytes - tailBytes, new Uint8Array(tailBytes), false, done),
  );
  await settled((done) => device.flush(done));
}

function settled(submit: (done: (error: DeviceError | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    submit((error) => (error === null ? resolve() : reject(error)));
  });
}
