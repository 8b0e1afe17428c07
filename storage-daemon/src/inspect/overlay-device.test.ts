import { describe, expect, test } from '@jest/globals';

import type { DeviceError } from '../device/block-device.ts';
import { MemoryDevice } from '../testing/image/memory-device.ts';
import { SimImage } from '../testing/sim-image.ts';
import { OverlayDevice } from './overlay-device.ts';

function answer(submit: (done: (error: DeviceError | null) => void) => void) {
  return new Promise<string | undefined>((resolve) => {
    submit((error) => resolve(error?.kind));
  });
}

function fills(bytes: Uint8Array): number[] {
  return [bytes[0]!, bytes[4096]!, bytes[8192]!];
}

describe('OverlayDevice', () => {
  test('reads what was written to it over what the device has, and leaves the device alone', async () => {
    const image = new SimImage(8);
    for (const block of [1, 2, 3]) image.writeDurable(block, new Uint8Array(4096).fill(block));
    const overlay = new OverlayDevice(new MemoryDevice('disk', image));
    const source = new Uint8Array(4096).fill(9);
    expect(await answer((done) => overlay.write(2 * 4096, source, true, done))).toBeUndefined();
    source.fill(1);
    const target = new Uint8Array(3 * 4096);
    expect(await answer((done) => overlay.read(4096, target, done))).toBeUndefined();
    expect(fills(target)).toEqual([1, 9, 3]);
    expect(await answer((done) => overlay.flush(done))).toBeUndefined();
    expect(image.read(2)![0]).toBe(2);
    expect(overlay).toMatchObject({ name: 'disk', sizeBytes: 8 * 4096, hasVolatileCache: false });
  });

  test('refuses everything once it is closed', async () => {
    const overlay = new OverlayDevice(new MemoryDevice('disk', new SimImage(8)));
    await overlay.close();
    const bytes = new Uint8Array(4096);
    expect(await answer((done) => overlay.read(0, bytes, done))).toBe('closed');
    expect(await answer((done) => overlay.write(0, bytes, false, done))).toBe('closed');
    expect(await answer((done) => overlay.flush(done))).toBe('closed');
  });
});
