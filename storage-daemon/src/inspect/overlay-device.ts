/**
 * Lets a program write to a device that it must not write to: reads fall through to the device, writes stay in memory.
 * It holds what recovery and one checkpoint write, which the journal's size bounds.
 */
import { assert } from '@varve/common/assert';

import { type BlockDevice, type DeviceCompletion, DeviceError } from '../device/block-device.ts';
import { blockSizeBytes } from '../units.ts';

/** A device over another one. Closing it leaves that one open. */
export class OverlayDevice implements BlockDevice {
  readonly name: string;
  readonly sizeBytes: number;
  readonly hasVolatileCache = false;
  readonly #base: BlockDevice;
  readonly #written = new Map<number, Uint8Array>();
  #isClosed = false;

  constructor(base: BlockDevice) {
    this.#base = base;
    this.name = base.name;
    this.sizeBytes = base.sizeBytes;
  }

  read(offsetBytes: number, target: Uint8Array, done: DeviceCompletion): void {
    if (this.#refuse('Read', offsetBytes, done)) return;
    this.#base.read(offsetBytes, target, (error) => {
      if (!error) this.#lay(offsetBytes, target);
      done(error);
    });
  }

  write(offsetBytes: number, source: Uint8Array, _fua: boolean, done: DeviceCompletion): void {
    if (this.#refuse('Write', offsetBytes, done)) return;
    assert(
      offsetBytes % blockSizeBytes === 0 && offsetBytes + source.length <= this.sizeBytes,
      `${source.length} bytes at ${offsetBytes} are not blocks of ${this.name}`,
    );
    for (let start = 0; start < source.length; start += blockSizeBytes) {
      const block = (offsetBytes + start) / blockSizeBytes;
      this.#written.set(block, source.slice(start, start + blockSizeBytes));
    }
    setImmediate(done, null);
  }

  flush(done: DeviceCompletion): void {
    if (!this.#refuse('Flush', 0, done)) setImmediate(done, null);
  }

  close(): Promise<void> {
    this.#isClosed = true;
    return Promise.resolve();
  }

  #lay(offsetBytes: number, target: Uint8Array): void {
    for (let start = 0; start < target.length; start += blockSizeBytes) {
      const written = this.#written.get((offsetBytes + start) / blockSizeBytes);
      if (written) target.set(written, start);
    }
  }

  #refuse(action: string, offsetBytes: number, done: DeviceCompletion): boolean {
    if (!this.#isClosed) return false;
    const message = `${action} at byte ${offsetBytes} of "${this.name}": the device is closed`;
    const context = { deviceName: this.name, offsetBytes };
    setImmediate(done, new DeviceError('closed', message, context));
    return true;
  }
}
