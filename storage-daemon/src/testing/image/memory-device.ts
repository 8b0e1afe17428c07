/** A device in memory that does what it is asked, in order: for images that are looked at, not raced for. */
import type { BlockDevice, DeviceCompletion } from '../../device/block-device.ts';
import { blockSizeBytes } from '../../units.ts';
import { SimImage } from '../sim-image.ts';

/** A device over an image. */
export class MemoryDevice implements BlockDevice {
  readonly name: string;
  readonly sizeBytes: number;
  readonly hasVolatileCache = false;
  readonly #image: SimImage;

  constructor(name: string, image: SimImage) {
    this.name = name;
    this.#image = image;
    this.sizeBytes = image.sizeBlocks * blockSizeBytes;
  }

  read(offsetBytes: number, target: Uint8Array, done: DeviceCompletion): void {
    for (let start = 0; start < target.length; start += blockSizeBytes) {
      const found = this.#image.read((offsetBytes + start) / blockSizeBytes);
      if (found) target.set(found, start);
      else target.fill(0, start, start + blockSizeBytes);
    }
    setImmediate(done, null);
  }

  write(offsetBytes: number, source: Uint8Array, _fua: boolean, done: DeviceCompletion): void {
    for (let start = 0; start < source.length; start += blockSizeBytes) {
      const block = (offsetBytes + start) / blockSizeBytes;
      this.#image.writeDurable(block, source.slice(start, start + blockSizeBytes));
    }
    setImmediate(done, null);
  }

  flush(done: DeviceCompletion): void {
    setImmediate(done, null);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
