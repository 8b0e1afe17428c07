/**
 * The clock (second chance) over clean frames: which one goes when memory is short. A hand goes round; a frame that
 * was used since the hand came by is spared, as often as it has chances. Adding, removing and one step of the hand
 * take constant time.
 */
import type { MapFrame } from './map-frame.ts';

/** Frames that may be evicted. */
export class FrameClock {
  readonly #frames: MapFrame[] = [];
  #hand = 0;

  get size(): number {
    return this.#frames.length;
  }

  add(frame: MapFrame): void {
    frame.clockIndex = this.#frames.length;
    this.#frames.push(frame);
  }

  /** Takes a frame out; nothing happens if it is not in. */
  remove(frame: MapFrame): void {
    const index = frame.clockIndex;
    if (index < 0) return;
    const last = this.#frames.pop()!;
    if (last !== frame) {
      this.#frames[index] = last;
      last.clockIndex = index;
    }
    frame.clockIndex = -1;
  }

  /** Moves the hand by one frame and returns it if it may go; undefined if it is spared. */
  step(): MapFrame | undefined {
    if (this.#hand >= this.#frames.length) this.#hand = 0;
    const frame = this.#frames[this.#hand];
    this.#hand++;
    if (!frame || frame.holdCount > 0) return undefined;
    if (frame.chances === 0) return frame;
    frame.chances--;
    return undefined;
  }
}
