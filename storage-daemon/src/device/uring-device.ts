/**
 * A block device over io_uring: plain files and block devices past the page cache (O_DIRECT), where the file system
 * can do that.
 *
 * - Bytes that lie aligned in one of the reactor's arenas go to the device as they are; any others are copied
 *   through aligned slots. What finds no slot, or too many requests under way, waits its turn.
 * - A plain file counts as volatile, and so does whatever goes through the page cache: `flush` is fdatasync, FUA is
 *   write and fdatasync. One fdatasync runs at a time; requests that arrive meanwhile share the next one, which
 *   starts after their writes. A block device says itself whether it has a volatile cache; FUA is one durable write.
 * - After a failed fdatasync or durable write it is unknown what was lost, and the kernel would report success the next
 *   time. So every later flush and FUA write fails until the device is opened anew.
 * - The device is this process's alone: O_EXCL or flock, held until close.
 */
import { close } from 'node:fs';

import { assert } from '@varve/common/assert';

import { deviceTransferBytesMax, ringDeviceRequestsInFlightMax } from '../limits.ts';
import { blockSizeBytes } from '../units.ts';
import { errno } from '../uring/kernel-abi.ts';
import type { IoRing } from '../uring/io-ring.ts';
import type { OperationType } from '../uring/ring.ts';
import { RingFile } from '../uring/ring-file.ts';
import { errorName } from '../uring/system-calls.ts';
import { type BlockDevice, type DeviceCompletion, DeviceError } from './block-device.ts';
import { BouncePools } from './bounce-pools.ts';
import { deallocateRange } from './deallocate.ts';
import type { DeviceProbe } from './device-probe.ts';
import { type OpenedDevice, openExclusively, openShared, releaseHold } from './open-exclusively.ts';
import { noRow, requestKind, RequestTable, RowQueue } from './request-table.ts';

/** The operations that a device starts; tests put failures in between. */
export type DeviceFile = Pick<RingFile, 'read' | 'write' | 'writeDurably' | 'syncData'>;

/**
 * Opens a plain file or block device for this process alone. Its size is the size it has now. Read-only, every write
 * fails with `io`.
 *
 * @throws DeviceOpenError, `in-use` if another process, mount or device on top has it.
 */
export function openUringDevice(
  path: string,
  ioRing: IoRing,
  options: { readonly isReadOnly?: boolean } = {},
): UringDevice {
  return new UringDevice(openExclusively(path, { ...options, isDirect: true }), ioRing);
}

/** Opens what another thread of this process holds. @throws DeviceOpenError */
export function shareUringDevice(held: OpenedDevice, ioRing: IoRing): UringDevice {
  return new UringDevice(openShared(held, { isDirect: true }), ioRing);
}

/** An open device; see the head of the file. */
export class UringDevice implements BlockDevice {
  readonly name: string;
  readonly sizeBytes: number;
  readonly hasVolatileCache: boolean;
  readonly probe: DeviceProbe;
  /** For threads that are to share it. */
  readonly opened: OpenedDevice;
  /** Why its memory could not be locked; undefined if it is. */
  readonly memoryLockFailure: string | undefined;
  readonly #fd: number;
  readonly #ioRing: IoRing;
  readonly #type: OperationType;
  readonly #file: DeviceFile;
  readonly #alignmentBytes: number;
  readonly #bounce = new BouncePools();
  readonly #rows = new RequestTable();
  readonly #waiting = new RowQueue(this.#rows);
  /** Rows that the next fdatasync answers, and those of the one under way. */
  readonly #flushWaiting = new RowQueue(this.#rows);
  readonly #flushRunning = new RowQueue(this.#rows);
  readonly #flushAnswered = new RowQueue(this.#rows);
  /** The row of fdatasync itself, whoever waits for it: nobody is told of its end. */
  readonly #flushRow = this.#rows.acquire(requestKind.flush, () =>
    assert(false, 'a flush ends twice'),
  );
  #inFlightCount = 0;
  #flushCount = 0;
  #deallocationCount = 0;
  #flushFailure: DeviceError | undefined;
  #closed: Promise<void> | undefined;
  #onIdle: (() => void) | undefined;

  constructor(
    opened: OpenedDevice,
    ioRing: IoRing,
    createFile: (type: OperationType) => DeviceFile = (type) =>
      new RingFile(ioRing.ring, opened.fd, type),
  ) {
    const { fd, probe, isDirect } = opened;
    this.opened = opened;
    this.#fd = fd;
    this.#ioRing = ioRing;
    this.name = probe.path;
    this.sizeBytes = probe.sizeBytes;
    this.hasVolatileCache = probe.hasVolatileCache || !isDirect;
    this.probe = probe;
    this.memoryLockFailure = this.#bounce.arena.lockFailure;
    this.#alignmentBytes = isDirect ? blockSizeBytes : 1;
    this.#type = ioRing.ring.addHandler((row, result) => this.#completed(row, result));
    this.#file = createFile(this.#type);
  }

  read(offsetBytes: number, buffer: Uint8Array, done: DeviceCompletion): void {
    this.#submit(requestKind.read, offsetBytes, buffer, done);
  }

  write(offsetBytes: number, buffer: Uint8Array, fua: boolean, done: DeviceCompletion): void {
    this.#submit(fua ? requestKind.durableWrite : requestKind.write, offsetBytes, buffer, done);
  }

  flush(done: DeviceCompletion): void {
    if (this.#closed) this.#refuse('Flush', 0, done);
    else {
      this.#flushCount++;
      this.#joinFlush(this.#rows.acquire(requestKind.flush, done));
    }
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
      else done(failure && this.#failure('Deallocate', offsetBytes, failure.code));
      this.#checkIdle();
    });
  }

  close(): Promise<void> {
    this.#closed ??= this.#drain().then(() => {
      this.#ioRing.ring.removeHandler(this.#type);
      this.#bounce.arena.unmap();
      return new Promise<void>((resolve, reject) => {
        close(this.#fd, (error) => {
          releaseHold(this.opened);
          if (error) reject(error);
          else resolve();
        });
      });
    });
    return this.#closed;
  }

  #submit(kind: number, offsetBytes: number, buffer: Uint8Array, done: DeviceCompletion): void {
    this.#checkRange(offsetBytes, buffer.length);
    if (this.#closed) {
      this.#refuse(kind === requestKind.read ? 'Read' : 'Write', offsetBytes, done);
      return;
    }
    const rows = this.#rows;
    const row = rows.acquire(kind, done);
    rows.offsetBytes[row] = offsetBytes;
    rows.lengthBytes[row] = buffer.length;
    rows.buffers[row] = buffer;
    const address = this.#ioRing.arenas.addressOf(buffer) ?? 0;
    rows.address[row] = address % this.#alignmentBytes === 0 ? address : 0;
    if (this.#waiting.first !== noRow || !this.#tryStart(row)) this.#waiting.push(row);
  }

  #checkRange(offsetBytes: number, lengthBytes: number): void {
    const isAligned = offsetBytes % blockSizeBytes === 0 && lengthBytes % blockSizeBytes === 0;
    // The message is made only if it is needed: this is on the path of every request.
    if (isAligned && offsetBytes >= 0 && offsetBytes + lengthBytes <= this.sizeBytes) return;
    const what = `${lengthBytes} bytes at ${offsetBytes}`;
    assert(isAligned, `${what} are not whole blocks`);
    assert(false, `${what} are outside of ${this.name}`);
  }

  /** False: it must wait for others to end. */
  #tryStart(row: number): boolean {
    if (this.#inFlightCount >= ringDeviceRequestsInFlightMax) return false;
    const rows = this.#rows;
    if (rows.address[row] === 0) {
      const pool = this.#bounce.choose(rows.lengthBytes[row]!);
      if (pool === -1) return false;
      rows.bouncePool[row] = pool;
      rows.bounceSlot[row] = this.#bounce.get(pool).tryAcquire();
    }
    this.#inFlightCount++;
    this.#continue(row);
    return true;
  }

  /** Moves the next part; the kernel may do less than was asked. */
  #continue(row: number): void {
    const rows = this.#rows;
    const doneBytes = rows.doneBytes[row]!;
    const offsetBytes = rows.offsetBytes[row]! + doneBytes;
    const kind = rows.kind[row];
    let partBytes = Math.min(rows.lengthBytes[row]! - doneBytes, deviceTransferBytesMax);
    let address = rows.address[row]! + doneBytes;
    if (rows.bounceSlot[row] !== noRow) {
      const pool = this.#bounce.get(rows.bouncePool[row]!);
      const slot = rows.bounceSlot[row]!;
      partBytes = Math.min(partBytes, pool.slotBytes);
      address = pool.addressOf(slot);
      if (kind !== requestKind.read) {
        const source = rows.buffers[row]!;
        const part =
          partBytes === source.length ? source : source.subarray(doneBytes, doneBytes + partBytes);
        pool.views[slot]!.set(part);
      }
    }
    if (kind === requestKind.read) this.#file.read(row, offsetBytes, address, partBytes);
    else if (kind === requestKind.durableWrite && this.probe.kind === 'block') {
      this.#file.writeDurably(row, offsetBytes, address, partBytes);
    } else this.#file.write(row, offsetBytes, address, partBytes);
  }

  #completed(row: number, result: number): void {
    const rows = this.#rows;
    if (rows.kind[row] === requestKind.flush) this.#flushed(result);
    else if (result === -errno.interrupted) this.#continue(row);
    else if (result < 0) this.#failed(row, result);
    else {
      // Direct I/O goes on at a whole block only.
      const movedBytes = result - (result % this.#alignmentBytes);
      if (rows.kind[row] === requestKind.read) this.#takeBounced(row, movedBytes);
      const doneBytes = rows.doneBytes[row]! + movedBytes;
      rows.doneBytes[row] = doneBytes;
      if (doneBytes === rows.lengthBytes[row]) this.#moved(row);
      else if (movedBytes > 0) this.#continue(row);
      else this.#finish(row, this.#failureOf(row, 'the device ends there'));
    }
  }

  #takeBounced(row: number, movedBytes: number): void {
    const rows = this.#rows;
    const slot = rows.bounceSlot[row]!;
    if (slot === noRow) return;
    const view = this.#bounce.get(rows.bouncePool[row]!).views[slot]!;
    const part = movedBytes === view.length ? view : view.subarray(0, movedBytes);
    rows.buffers[row]!.set(part, rows.doneBytes[row]);
  }

  #moved(row: number): void {
    if (this.#rows.kind[row] !== requestKind.durableWrite) this.#finish(row, null);
    else if (this.probe.kind === 'block') this.#finish(row, this.#flushFailure ?? null);
    else this.#joinFlush(row);
  }

  #failed(row: number, result: number): void {
    const failure = this.#failureOf(row, errorName(result));
    if (this.#rows.kind[row] === requestKind.durableWrite && this.probe.kind === 'block') {
      // It may have been the flush behind the write that failed.
      this.#flushFailure ??= failure;
    }
    this.#finish(row, failure);
  }

  /** Answers a transfer, after starting those that waited for what it held. */
  #finish(row: number, error: DeviceError | null): void {
    const rows = this.#rows;
    const slot = rows.bounceSlot[row]!;
    if (slot !== noRow) this.#bounce.get(rows.bouncePool[row]!).release(slot);
    const done = rows.release(row);
    this.#inFlightCount--;
    while (this.#waiting.first !== noRow && this.#tryStart(this.#waiting.first)) {
      this.#waiting.shift();
    }
    done(error);
    this.#checkIdle();
  }

  #joinFlush(row: number): void {
    this.#flushWaiting.push(row);
    if (this.#flushRunning.first === noRow) this.#startFlush();
  }

  #startFlush(): void {
    this.#flushWaiting.moveTo(this.#flushRunning);
    this.#file.syncData(this.#flushRow);
  }

  #flushed(result: number): void {
    if (result === -errno.interrupted) {
      this.#file.syncData(this.#flushRow);
      return;
    }
    if (result < 0) this.#flushFailure ??= this.#failure('Flush', 0, errorName(result));
    const rows = this.#rows;
    const answered = this.#flushAnswered;
    this.#flushRunning.moveTo(answered);
    if (this.#flushWaiting.first !== noRow) this.#startFlush();
    for (let row = answered.shift(); row !== noRow; row = answered.shift()) {
      const error = this.#flushFailure ?? null;
      if (rows.kind[row] === requestKind.durableWrite) this.#finish(row, error);
      else {
        this.#flushCount--;
        rows.release(row)(error);
      }
    }
    this.#checkIdle();
  }

  #refuse(action: string, offsetBytes: number, done: DeviceCompletion): void {
    const message = `${action} at byte ${offsetBytes} of "${this.name}": the device is closed`;
    const error = new DeviceError('closed', message, { deviceName: this.name, offsetBytes });
    setImmediate(done, error);
  }

  #failureOf(row: number, code: string): DeviceError {
    const action = this.#rows.kind[row] === requestKind.read ? 'Read' : 'Write';
    return this.#failure(action, this.#rows.offsetBytes[row]!, code);
  }

  #failure(action: string, offsetBytes: number, code: string): DeviceError {
    const kind = code === 'ENOSPC' || code === 'EDQUOT' ? 'no-space' : 'io';
    const message = `${action} at byte ${offsetBytes} of "${this.name}": ${code}`;
    return new DeviceError(kind, message, { deviceName: this.name, offsetBytes });
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
    return this.#inFlightCount === 0 && this.#flushCount === 0 && this.#deallocationCount === 0;
  }
}
