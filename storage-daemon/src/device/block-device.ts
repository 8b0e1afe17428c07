/**
 * The block layer below the store: one raw device, seen as 4 KiB blocks. `file-device` (Node's fs) and the
 * simulated device implement it; an io_uring device joins them. Calls complete through a callback, never before
 * the call returns, so that a hot path needs no promise per I/O. Completions may come in any order.
 */

/** Why a device did not do what was asked. `kind` is stable, `message` is for people. */
export class DeviceError extends Error {
  override readonly name = 'DeviceError';
  readonly kind: 'io' | 'no-space' | 'closed' | 'unsupported';
  readonly deviceName: string;
  readonly offsetBytes: number;

  constructor(
    kind: DeviceError['kind'],
    message: string,
    context: { deviceName: string; offsetBytes: number; cause?: unknown },
  ) {
    super(message, { cause: context.cause });
    this.kind = kind;
    this.deviceName = context.deviceName;
    this.offsetBytes = context.offsetBytes;
  }
}

/** Called exactly once per request; `null` means that all of it was done. */
export type DeviceCompletion = (error: DeviceError | null) => void;

/** One raw device. All offsets and lengths are multiples of 4 KiB and inside the device (asserted). */
export interface BlockDevice {
  /** What messages call it: a path, usually. */
  readonly name: string;
  readonly sizeBytes: number;
  /**
   * True: a completed write may still be lost by a power cut until `flush()`, or unless it was written with
   * FUA.
   */
  readonly hasVolatileCache: boolean;
  /** Fills `target` from `offsetBytes`. The buffer belongs to the device until completion. */
  read(offsetBytes: number, target: Uint8Array, done: DeviceCompletion): void;
  /**
   * Writes `source` at `offsetBytes`; with `fua` it is durable at completion. The buffer must not change
   * until then.
   */
  write(offsetBytes: number, source: Uint8Array, fua: boolean, done: DeviceCompletion): void;
  /** Makes durable every write that completed before this call. */
  flush(done: DeviceCompletion): void;
  /**
   * Tells the device that these bytes are not needed (NVMe Deallocate, a hole in a file): until they are written again
   * they read as anything, also after a crash. Fails with `unsupported` where the hardware or file system cannot; a
   * device without this method never can.
   */
  deallocate?(offsetBytes: number, lengthBytes: number, done: DeviceCompletion): void;
  /** Ends after the requests under way; later requests fail with `closed`. May be called twice. */
  close(): Promise<void>;
}
