/**
 * A block device over Node's fs: plain files, and block devices through the page cache.
 *
 * - A completed write is in the page cache only, whatever the hardware's own cache does, so the device
 *   always counts as volatile: `flush` is fdatasync, which also makes the hardware flush; FUA is write and
 *   fdatasync.
 * - One fdatasync runs at a time. Requests that arrive meanwhile share the next one, which starts after
 *   their writes.
 * - After a failed fdatasync the kernel has dropped the dirty pages and would report success the next time.
 *   What was lost is unknown, so every later flush and FUA write fails until the device is opened anew.
 * - The device is this process's alone: O_EXCL or flock, held until close.
 */
import * as nodeFs from 'node:fs';

import { assert } from '@varve/common/assert';

import { deviceRequestsInFlightMax, deviceTransferBytesMax } from '../limits.ts';
import { blockSizeBytes } from '../units.ts';
import { type BlockDevice, type DeviceCompletion, DeviceError } from './block-device.ts';
import { deallocateRange } from './deallocate.ts';
import { systemCode } from './device-open-error.ts';
import type { DeviceProbe } from './device-probe.ts';
import { type OpenedDevice, openExclusively, openShared, releaseHold } from './open-exclusively.ts';

type SystemCallback = (error: NodeJS.ErrnoException | null, movedBytes: number) => void;

/** The calls of `node:fs` that a file device makes; tests let them fail on cue. */
export interface FileCalls {
  read(fd: number, buffer: Uint8Array, options: TransferPart, done: SystemCallback): void;
  write(fd: number, buffer: Uint8Array, options: TransferPart, done: SystemCallback): void;
  fdatasync(fd: number, done: (error: NodeJS.ErrnoException | null) => void): void;
  close(fd: number, done: (error: NodeJS.ErrnoException | null | undefined) => void): void;
}

/** Which bytes of the buffer, and where in the device. */
interface TransferPart {
  readonly offset: number;
  readonly length: number;
  readonly position: number;
}

/** A read or write, waiting or under way. */
interface Transfer {
  readonly isWrite: boolean;
  readonly offsetBytes: number;
  readonly buffer: Uint8Array;
  /** Durable at completion. */
  readonly fua: boolean;
  readonly done: DeviceCompletion;
  doneBytes: number;
  /** The one behind it in the queue. */
  next: Transfer | undefined;
}

/**
 * Opens a plain file or block device for this process alone. Its size is the size it has now. Read-only, every write
 * fails with `io`.
 *
 * @throws DeviceOpenError, `in-use` if another process, mount or device on top has it.
 */
export function openFileDevice(
  path: string,
  options: { readonly isReadOnly?: boolean } = {},
): FileDevice {
  return new FileDevice(openExclusively(path, { ...options, isDirect: false }), nodeFs);
}

/** Opens what another thread of this process holds. @throws DeviceOpenError */
export function shareFileDevice(held: OpenedDevice): FileDevice {
  return new FileDevice(openShared(held, { isDirect: false }), nodeFs);
}

/** An open device; see the head of the file. */
export class FileDevice implements BlockDevice {
  readonly name: string;
  readonly sizeBytes: number;
  readonly hasVolatileCache = true;
  readonly probe: DeviceProbe;
  /** For threads that are to share it. */
  readonly opened: OpenedDevice;
  readonly #fd: number;
  readonly #calls: FileCalls;
  #firstWaiting: Transfer | undefined;
  #lastWaiting: Transfer | undefined;
  #inFlightCount = 0;
  #flushWaiters: DeviceCompletion[] = [];
  #isFlushing = false;
  #deallocationCount = 0;
  #flushFailure: DeviceError | undefined;
  #closed: Promise<void> | undefined;
  #onIdle: (() => void) | undefined;

  constructor(opened: OpenedDevice, calls: FileCalls) {
    const { fd, probe } = opened;
    this.opened = opened;
    this.#fd = fd;
    this.#calls = calls;
    this.name = probe.path;
    this.sizeBytes = probe.sizeBytes;
    this.probe = probe;
  }

  read(offsetBytes: number, buffer: Uint8Array, done: DeviceCompletion): void {
    const transfer = { isWrite: false, offsetBytes, buffer, fua: false, done };
    this.#submit({ ...transfer, doneBytes: 0, next: undefined });
  }

  write(offsetBytes: number, buffer: Uint8Array, fua: boolean, done: DeviceCompletion): void {
    const transfer = { isWrite: true, offsetBytes, buffer, fua, done };
    this.#submit({ ...transfer, doneBytes: 0, next: undefined });
  }

  flush(done: DeviceCompletion): void {
    if (this.#closed) this.#refuse('Flush', 0, done);
    else this.#joinFlush(done);
  }

  deallocate(offsetBytes: number, lengthBytes: number, done: DeviceCompletion): void {
    this.#checkRange(offsetBytes, lengthBytes);
    if (this.#closed) {
      this.#refuse('Deallocate', offsetBytes, done);
      return;
    }
    this.#deallocationCount++;
    const target = { fd: this.#fd, kind: this.probe.kind };
    deallocateRange(target, offsetBytes, lengthBytes, (failure) => {
      this.#deallocationCount--;
      if (failure?.isUnsupported) done(this.#unsupported(offsetBytes, failure.code));
      else done(failure && this.#failure('Deallocate', offsetBytes, failure));
      this.#checkIdle();
    });
  }

  close(): Promise<void> {
    this.#closed ??= this.#drain().then(
      () =>
        new Promise<void>((resolve, reject) => {
          this.#calls.close(this.#fd, (error) => {
            releaseHold(this.opened);
            if (error) reject(error);
            else resolve();
          });
        }),
    );
    return this.#closed;
  }

  #submit(transfer: Transfer): void {
    const { offsetBytes, buffer } = transfer;
    this.#checkRange(offsetBytes, buffer.length);
    if (this.#closed) {
      this.#refuse(transfer.isWrite ? 'Write' : 'Read', offsetBytes, transfer.done);
    } else if (this.#inFlightCount < deviceRequestsInFlightMax) {
      this.#inFlightCount++;
      this.#continue(transfer);
    } else {
      if (this.#lastWaiting) this.#lastWaiting.next = transfer;
      else this.#firstWaiting = transfer;
      this.#lastWaiting = transfer;
    }
  }

  #checkRange(offsetBytes: number, lengthBytes: number): void {
    assert(offsetBytes % blockSizeBytes === 0, `offset ${offsetBytes} is not a whole block`);
    assert(lengthBytes % blockSizeBytes === 0, `${lengthBytes} bytes are not whole blocks`);
    assert(
      offsetBytes >= 0 && offsetBytes + lengthBytes <= this.sizeBytes,
      `${lengthBytes} bytes at ${offsetBytes} are outside of ${this.name}`,
    );
  }

  /** Moves the next part; the kernel may do less than was asked. */
  #continue(transfer: Transfer): void {
    const { isWrite, buffer, doneBytes, offsetBytes } = transfer;
    const part = {
      offset: doneBytes,
      length: Math.min(buffer.length - doneBytes, deviceTransferBytesMax),
      position: offsetBytes + doneBytes,
    };
    const advance: SystemCallback = (error, moved) => this.#advance(transfer, error, moved);
    if (isWrite) this.#calls.write(this.#fd, buffer, part, advance);
    else this.#calls.read(this.#fd, buffer, part, advance);
  }

  #advance(transfer: Transfer, error: unknown, movedBytes: number): void {
    const { isWrite, buffer, offsetBytes, fua, done } = transfer;
    const action = isWrite ? 'Write' : 'Read';
    if (systemCode(error) === 'EINTR') this.#continue(transfer);
    else if (error) this.#finish(done, this.#failure(action, offsetBytes, error));
    else {
      transfer.doneBytes += movedBytes;
      if (transfer.doneBytes === buffer.length) {
        if (fua) this.#joinFlush((flushError) => this.#finish(done, flushError));
        else this.#finish(done, null);
      } else if (movedBytes > 0) this.#continue(transfer);
      else this.#finish(done, this.#failure(action, offsetBytes, 'the device ends there'));
    }
  }

  /** Answers a transfer and starts the one that waits longest. */
  #finish(done: DeviceCompletion, error: DeviceError | null): void {
    const next = this.#firstWaiting;
    if (next) {
      this.#firstWaiting = next.next;
      if (!next.next) this.#lastWaiting = undefined;
      next.next = undefined;
      this.#continue(next);
    } else this.#inFlightCount--;
    done(error);
    this.#checkIdle();
  }

  #joinFlush(done: DeviceCompletion): void {
    this.#flushWaiters.push(done);
    if (!this.#isFlushing) this.#startFlush();
  }

  #startFlush(): void {
    this.#isFlushing = true;
    const waiters = this.#flushWaiters;
    this.#flushWaiters = [];
    this.#calls.fdatasync(this.#fd, (error) => {
      if (error) this.#flushFailure ??= this.#failure('Flush', 0, error);
      if (this.#flushWaiters.length > 0) this.#startFlush();
      else this.#isFlushing = false;
      for (const done of waiters) done(this.#flushFailure ?? null);
      this.#checkIdle();
    });
  }

  #refuse(action: string, offsetBytes: number, done: DeviceCompletion): void {
    const message = `${action} at byte ${offsetBytes} of "${this.name}": the device is closed`;
    const error = new DeviceError('closed', message, { deviceName: this.name, offsetBytes });
    setImmediate(done, error);
  }

  #failure(action: string, offsetBytes: number, cause: unknown): DeviceError {
    const code = systemCode(cause);
    const kind = code === 'ENOSPC' || code === 'EDQUOT' ? 'no-space' : 'io';
    const message = `${action} at byte ${offsetBytes} of "${this.name}": ${code ?? String(cause)}`;
    return new DeviceError(kind, message, { deviceName: this.name, offsetBytes, cause });
  }

  #unsupported(offsetBytes: number, code: string): DeviceError {
    const message = `Deallocate at byte ${offsetBytes} of "${this.name}": ${code}: it cannot do that`;
    return new DeviceError('unsupported', message, { deviceName: this.name, offsetBytes });
  }

  async #drain(): Promise<void> {
    if (this.#isIdle()) return;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
  }

  #checkIdle(): void {
    if (this.#isIdle()) this.#onIdle?.();
  }

  #isIdle(): boolean {
    return this.#inFlightCount === 0 && !this.#isFlushing && this.#deallocationCount === 0;
  }
}
