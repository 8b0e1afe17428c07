/**
 * The properties of a controller, and what a write to CC means (NVMe Base 2.0, section 3.1.4). Pure state: who
 * owns the controller does what a transition asks for and says when it is done.
 *
 *   EN 0->1    RDY at once, or CFS if the values are not ours
 *   EN 1->0    reset: RDY falls when nothing is under way any more
 *   SHN 0->1,2 shutdown: SHST says "complete" when everything is durable
 */
import { nvmeQueueEntriesMax } from '../../limits.ts';

/** Offsets of properties. */
const PropertyOffset = { CAP: 0x00, VS: 0x08, CC: 0x14, CSTS: 0x1c } as const;

/** NVMe 1.4. */
export const nvmeVersion = 0x0001_0400;

/** CAP: NVM command set only, 7.5 s to get ready, contiguous queues, MQES. */
const capLow = 0x0f01_0000 | nvmeQueueEntriesMax;
const capHigh = 0x0000_0020;

const Cc = {
  EN: 0x1,
  SHN: 0xc000,
  CSS_MPS_AMS: 0x3ff0,
  IOSQES: 0xf_0000,
  IOCQES: 0xf0_0000,
} as const;
const Csts = { RDY: 0x1, CFS: 0x2, SHST_BUSY: 0x4, SHST_DONE: 0x8 } as const;
/** Queue entries of 64 and 16 bytes. */
const entrySizes = 0x46_0000;

/** What a write to CC asks for. */
export type ControllerTransition = 'none' | 'enabled' | 'reset' | 'shutdown';

/** The value of a property. */
export interface PropertyValue {
  readonly low: number;
  readonly high: number;
}

/** The properties of one controller. */
export class ControllerProperties {
  #cc = 0;
  #csts = 0;

  /** Commands other than those of fabrics may run. */
  get isReady(): boolean {
    return (this.#csts & Csts.RDY) !== 0;
  }

  /** Undefined for a property that is not there, or not of that size. */
  get(offset: number, isEightBytes: boolean): PropertyValue | undefined {
    if (offset === PropertyOffset.CAP) {
      return isEightBytes ? { low: capLow, high: capHigh } : undefined;
    }
    if (isEightBytes) return undefined;
    switch (offset) {
      case PropertyOffset.VS:
        return { low: nvmeVersion, high: 0 };
      case PropertyOffset.CC:
        return { low: this.#cc, high: 0 };
      case PropertyOffset.CSTS:
        return { low: this.#csts, high: 0 };
      default:
        return undefined;
    }
  }

  /** Writes a property; undefined if that one cannot be written. CC reads back as written. */
  set(offset: number, isEightBytes: boolean, value: number): ControllerTransition | undefined {
    if (offset !== PropertyOffset.CC || isEightBytes) return undefined;
    const before = this.#cc;
    this.#cc = value;
    const wasEnabled = (before & Cc.EN) !== 0;
    const isEnabled = (value & Cc.EN) !== 0;
    const isShutDown = (value & Cc.SHN) !== 0;
    if (wasEnabled && !isEnabled) return 'reset';
    if (isShutDown && (before & Cc.SHN) === 0) {
      this.#csts = (this.#csts & ~Csts.SHST_DONE) | Csts.SHST_BUSY;
      return 'shutdown';
    }
    if (wasEnabled || !isEnabled) return 'none';
    const isOurs =
      (value & Cc.CSS_MPS_AMS) === 0 && (value & (Cc.IOSQES | Cc.IOCQES)) === entrySizes;
    this.#csts = isOurs ? Csts.RDY : Csts.CFS;
    return isOurs ? 'enabled' : 'none';
  }

  /** Nothing is under way any more after a reset. */
  resetDone(): void {
    this.#csts = 0;
  }

  /** Everything is durable after a shutdown. */
  shutdownDone(): void {
    this.#csts = (this.#csts & ~Csts.SHST_BUSY) | Csts.SHST_DONE;
  }

  /** The controller cannot go on. */
  fail(): void {
    this.#csts |= Csts.CFS;
  }
}
