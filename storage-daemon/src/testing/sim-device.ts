/**
 * A block device whose every freedom is used: completions come in any order, a completed write may sit in a volatile
 * cache, a crash keeps any part of what was not durable, requests fail when told to. One object is one incarnation: a
 * crash ends it and returns the image that the next one opens.
 */
import { assert } from '@varve/common/assert';

import { DeviceError, type BlockDevice, type DeviceCompletion } from '../device/block-device.ts';
import { pageHeaderBytes, pageMagic, PageType } from '../format/page-header.ts';
import { blockSizeBytes } from '../units.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SeededScheduler } from './seeded-scheduler.ts';
import { tearBlock, type BlockWrite, type SimImage } from './sim-image.ts';

/**
 * How a machine dies. `power`: the cache is lost, any subset of un-flushed and in-flight writes is kept, each whole,
 * torn or absent. `kill`: the process is gone, the drive is not; the cache stays and in-flight writes land or not.
 */
export type CrashKind = 'power' | 'kill';

/** What a request asks for. */
export type RequestKind = 'read' | 'write' | 'flush' | 'deallocate';

/** Fixed properties and faults of a simulated device. */
export interface SimDeviceOptions {
  readonly name: string;
  readonly hasVolatileCache: boolean;
  /** A power cut may tear a block at 512 bytes; otherwise a block is written whole or not at all. */
  readonly tearsBlocks?: boolean;
  /** Probability that a request takes up to `stallMs` of virtual time, so that it is overtaken by many others. */
  readonly stallChance?: number;
  readonly stallMs?: number;
  /** Decides whether the request with this number (from 0, all kinds counted together) fails with an I/O error. */
  readonly failRequest?: (kind: RequestKind, requestIndex: number) => boolean;
  /** Decides whether a page of a map, a list or a stream is read with a wrong bit. The medium keeps the right one. */
  readonly rotsPage?: () => boolean;
  /** Told about everything, for traces and for crash enumeration. */
  readonly observe?: (event: DeviceEvent) => void;
}

/** A step in the life of a request. */
export interface DeviceEvent {
  readonly device: SimDevice;
  readonly moment: 'submitted' | 'completed' | 'failed';
  readonly kind: RequestKind;
  readonly block: number;
  readonly blockCount: number;
  readonly fua: boolean;
}

/** Work done by a device since it was opened. */
export interface DeviceCounters {
  reads: number;
  readBytes: number;
  writes: number;
  writtenBytes: number;
  fuaWrites: number;
  flushes: number;
  deallocations: number;
}

interface Request {
  readonly kind: RequestKind;
  readonly block: number;
  readonly buffer: Uint8Array;
  /** A write's content when it was submitted; what a deallocation leaves. */
  readonly writes: readonly BlockWrite[];
  readonly fua: boolean;
  readonly flushMark: number;
  readonly fails: boolean;
  readonly done: DeviceCompletion;
}

/** Probability that a torn block is what a power cut leaves of a write that it keeps, if the device tears blocks. */
const tearChance = 0.2;

/** One incarnation of a simulated device. */
export class SimDevice implements BlockDevice {
  readonly name: string;
  readonly sizeBytes: number;
  readonly hasVolatileCache: boolean;
  readonly counters: DeviceCounters = {
    reads: 0,
    readBytes: 0,
    writes: 0,
    writtenBytes: 0,
    fuaWrites: 0,
    flushes: 0,
    deallocations: 0,
  };
  readonly #options: SimDeviceOptions;
  readonly #image: SimImage;
  readonly #scheduler: SeededScheduler;
  readonly #random: SeededRandom;
  readonly #inFlight = new Set<Request>();
  #requestCount = 0;
  #state: 'open' | 'closed' | 'crashed' = 'open';
  #closeWaiters: (() => void)[] = [];

  constructor(
    options: SimDeviceOptions,
    dependencies: { image: SimImage; scheduler: SeededScheduler; random: SeededRandom },
  ) {
    this.#options = options;
    this.name = options.name;
    this.hasVolatileCache = options.hasVolatileCache;
    this.#image = dependencies.image;
    this.#scheduler = dependencies.scheduler;
    this.#random = dependencies.random;
    this.sizeBytes = this.#image.sizeBlocks * blockSizeBytes;
  }

  read(offsetBytes: number, target: Uint8Array, done: DeviceCompletion): void {
    this.counters.reads++;
    this.counters.readBytes += target.length;
    this.#submit('read', { offsetBytes, buffer: target, fua: false, done });
  }

  write(offsetBytes: number, source: Uint8Array, fua: boolean, done: DeviceCompletion): void {
    this.counters.writes++;
    this.counters.writtenBytes += source.length;
    if (fua) this.counters.fuaWrites++;
    this.#submit('write', { offsetBytes, buffer: source, fua, done });
  }

  flush(done: DeviceCompletion): void {
    this.counters.flushes++;
    this.#submit('flush', { offsetBytes: 0, buffer: new Uint8Array(0), fua: false, done });
  }

  /** From now on the blocks read as anything, in any order with other requests, and a crash may undo it. */
  deallocate(offsetBytes: number, lengthBytes: number, done: DeviceCompletion): void {
    this.counters.deallocations++;
    const buffer = new Uint8Array(lengthBytes);
    for (let start = 0; start < lengthBytes; start += blockSizeBytes) {
      const block = buffer.subarray(start, start + blockSizeBytes);
      if (this.#random.chance(0.5)) this.#random.fillBytes(block);
    }
    this.#submit('deallocate', { offsetBytes, buffer, fua: false, done });
  }

  close(): Promise<void> {
    if (this.#state === 'open') this.#state = 'closed';
    if (this.#inFlight.size === 0 || this.#state === 'crashed') return Promise.resolve();
    return new Promise((resolve) => this.#closeWaiters.push(resolve));
  }

  /** Requests made so far; the next one has this number. */
  get requestCount(): number {
    return this.#requestCount;
  }

  /** All block writes that are not durable now, completed ones first: a power cut may keep any subset. */
  unflushedWrites(): readonly BlockWrite[] {
    return [...this.#image.cached(), ...this.#inFlightWrites()];
  }

  /** The image as it is now; in-flight writes are not in it. */
  get image(): SimImage {
    return this.#image;
  }

  /** Ends this incarnation; nothing completes any more. Returns what the next one finds. */
  crash(kind: CrashKind): SimImage {
    this.#state = 'crashed';
    const random = this.#random;
    const keepChance = random.pick([0, 0.5, 0.5, 1]);
    const keep = () => random.chance(keepChance);
    const inFlight = this.#inFlightWrites();
    for (let last = inFlight.length - 1; last > 0; last--) {
      const other = random.below(last + 1);
      [inFlight[last], inFlight[other]] = [inFlight[other]!, inFlight[last]!];
    }
    this.#inFlight.clear();
    if (kind === 'kill') {
      const image = this.#image.clone();
      for (const { block, bytes } of inFlight.filter(keep)) {
        if (this.hasVolatileCache && random.chance(0.7)) image.writeCached(block, bytes);
        else image.writeDurable(block, bytes);
      }
      return image;
    }
    const survivor = this.#image.afterPowerCut([]);
    for (const { block, bytes } of [...this.#image.cached(), ...inFlight].filter(keep)) {
      const torn = this.#options.tearsBlocks === true && random.chance(tearChance);
      const kept = torn ? tearBlock(survivor.read(block), bytes, random) : bytes;
      survivor.writeDurable(block, kept);
    }
    return survivor;
  }

  #inFlightWrites(): BlockWrite[] {
    const writes: BlockWrite[] = [];
    for (const request of this.#inFlight) {
      writes.push(...request.writes);
    }
    return writes;
  }

  #submit(
    kind: RequestKind,
    request: { offsetBytes: number; buffer: Uint8Array; fua: boolean; done: DeviceCompletion },
  ): void {
    const { offsetBytes, buffer, fua, done } = request;
    assert(offsetBytes % blockSizeBytes === 0, `offset ${offsetBytes} is not a multiple of 4 KiB`);
    assert(buffer.length % blockSizeBytes === 0, `length ${buffer.length} is no multiple of 4 KiB`);
    assert(kind === 'flush' || buffer.length > 0, `a ${kind} of no bytes`);
    assert(
      offsetBytes >= 0 && offsetBytes + buffer.length <= this.sizeBytes,
      `${kind} of ${buffer.length} bytes at ${offsetBytes} is outside ${this.name}`,
    );
    if (this.#state === 'crashed') return;
    if (this.#state === 'closed') {
      const error = new DeviceError('closed', `${kind} on ${this.name}: it is closed`, {
        deviceName: this.name,
        offsetBytes,
      });
      this.#scheduler.enqueue(() => done(error));
      return;
    }
    const fails = this.#options.failRequest?.(kind, this.#requestCount) ?? false;
    this.#requestCount++;
    const block = offsetBytes / blockSizeBytes;
    const pending: Request = {
      kind,
      block,
      buffer,
      writes: this.#writesOf(kind, block, buffer),
      fua,
      flushMark: this.#image.flushMark(),
      fails,
      done,
    };
    this.#inFlight.add(pending);
    this.#observe('submitted', pending);
    const complete = () => this.#complete(pending);
    if (this.#random.chance(this.#options.stallChance ?? 0)) {
      this.#scheduler.after(
        this.#random.below(100) * 0.01 * (this.#options.stallMs ?? 1),
        complete,
      );
    } else this.#scheduler.enqueue(complete);
  }

  /** Of deallocated blocks some keep what they hold. */
  #writesOf(kind: RequestKind, block: number, buffer: Uint8Array): BlockWrite[] {
    if (kind === 'write') return splitBlocks(block, buffer);
    if (kind !== 'deallocate') return [];
    return splitBlocks(block, buffer).filter(() => this.#random.chance(0.8));
  }

  #complete(request: Request): void {
    if (this.#state === 'crashed') return;
    if (request.fails) this.#applyFailed(request);
    else this.#apply(request);
    this.#inFlight.delete(request);
    this.#observe(request.fails ? 'failed' : 'completed', request);
    if (this.#state === 'closed' && this.#inFlight.size === 0) {
      for (const resolve of this.#closeWaiters.splice(0)) resolve();
    }
    request.done(
      request.fails
        ? new DeviceError('io', `${request.kind} on ${this.name}: injected I/O error`, {
            deviceName: this.name,
            offsetBytes: request.block * blockSizeBytes,
          })
        : null,
    );
  }

  #apply(request: Request): void {
    if (request.kind === 'flush') this.#image.flushUpTo(request.flushMark);
    else if (request.kind === 'deallocate') {
      for (const { block, bytes } of request.writes) this.#store(block, bytes, false);
    } else if (request.kind === 'write') {
      checkUnchanged(request);
      for (const { block, bytes } of request.writes) this.#store(block, bytes, request.fua);
    } else this.#fillTarget(request);
  }

  /** A failed write leaves each block old or new; a failed read leaves rubbish; a failed flush flushes nothing. */
  #applyFailed(request: Request): void {
    if (request.kind === 'read') request.buffer.fill(0xee);
    for (const { block, bytes } of request.writes) {
      if (this.#random.chance(0.5)) this.#store(block, bytes, false);
    }
  }

  #store(block: number, bytes: Uint8Array, fua: boolean): void {
    if (fua || !this.hasVolatileCache) this.#image.writeDurable(block, bytes);
    else this.#image.writeCached(block, bytes);
  }

  #fillTarget(request: Request): void {
    const blockCount = request.buffer.length / blockSizeBytes;
    for (let index = 0; index < blockCount; index++) {
      const start = index * blockSizeBytes;
      const found = this.#image.read(request.block + index);
      if (found) request.buffer.set(found, start);
      else request.buffer.fill(0, start, start + blockSizeBytes);
      this.#mayRot(request.buffer.subarray(start, start + blockSizeBytes));
    }
  }

  #mayRot(block: Uint8Array): void {
    if (!this.#options.rotsPage || !isPointedTo(block) || !this.#options.rotsPage()) return;
    // Most of a small map's page is unused: a bit there would prove nothing.
    const used = [...block.keys()].filter((byte) => byte >= pageHeaderBytes && block[byte] !== 0);
    if (used.length > 0) block[this.#random.pick(used)]! ^= 1 << this.#random.below(8);
  }

  #observe(moment: DeviceEvent['moment'], request: Request): void {
    this.#options.observe?.({
      device: this,
      moment,
      kind: request.kind,
      block: request.block,
      blockCount: request.buffer.length / blockSizeBytes,
      fua: request.fua,
    });
  }
}

/** True for pages with a header whose checksum stands in the pointer to them; roots carry their own. */
function isPointedTo(block: Uint8Array): boolean {
  const view = new DataView(block.buffer, block.byteOffset, pageHeaderBytes);
  return view.getUint16(0, true) === pageMagic && view.getUint8(2) !== PageType.cellRoot;
}

function splitBlocks(firstBlock: number, buffer: Uint8Array): BlockWrite[] {
  const writes: BlockWrite[] = [];
  for (let start = 0; start < buffer.length; start += blockSizeBytes) {
    const bytes = buffer.slice(start, start + blockSizeBytes);
    writes.push({ block: firstBlock + start / blockSizeBytes, bytes });
  }
  return writes;
}

/** A buffer belongs to the device until completion: a change would reach the media or not, as it pleases. */
function checkUnchanged(request: Request): void {
  for (const { block, bytes } of request.writes) {
    const start = (block - request.block) * blockSizeBytes;
    const now = request.buffer.subarray(start, start + blockSizeBytes);
    assert(Buffer.compare(now, bytes) === 0, `the buffer of a write to block ${block} has changed`);
  }
}
