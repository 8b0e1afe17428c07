/**
 * A session with recorded actions over a small export in memory, whose requests complete when the test says
 * so.
 */
import { nbdInputBytes, nbdOutputBatchBytes } from '../limits.ts';
import { IoBufferPool } from '../nbd/io-buffer.ts';
import { OutputBatch } from '../nbd/output-batch.ts';
import { NbdSession } from '../nbd/session.ts';
import type { NbdExport, NbdExportRefusal, NbdExports } from '../nbd/exports.ts';
import type { NbdCompletion, NbdFailure, NbdVolume } from '../nbd/volume-port.ts';
import { NbdReplyReader } from './nbd-messages.ts';

type VolumeFailure = Error & NbdFailure;

/** A failure that says what it is. */
export function newFailure(kind: NbdFailure['kind']): VolumeFailure {
  return Object.assign(new Error(`it is ${kind}`), { kind });
}

/** An export's bytes; answers wait in `pending` until they are let go. */
export class HeldVolume implements NbdVolume {
  readonly content: Buffer;
  readonly calls: string[] = [];
  readonly pending: (() => void)[] = [];
  /** What the next requests fail with. */
  failure: VolumeFailure | null = null;

  constructor(sizeBytes: number) {
    this.content = Buffer.alloc(sizeBytes);
  }

  /** Answers everything that waits, and what is asked for meanwhile. */
  releaseAll(): void {
    for (let next = this.pending.shift(); next; next = this.pending.shift()) next();
  }

  read(offset: number, target: Uint8Array, done: NbdCompletion): void {
    this.#submit(`read ${offset}+${target.length}`, [offset, target.length], done, () => {
      target.set(this.content.subarray(offset, offset + target.length));
    });
  }

  write(offset: number, source: Uint8Array, fua: boolean, done: NbdCompletion): void {
    const what = `write ${offset}+${source.length}${fua ? ' fua' : ''}`;
    this.#submit(what, [offset, source.length], done, () => this.content.set(source, offset));
  }

  writeZeroes(
    offset: number,
    length: number,
    { fua, keepAllocated }: { fua: boolean; keepAllocated: boolean },
    done: NbdCompletion,
  ): void {
    const what = `zero ${offset}+${length}${fua ? ' fua' : ''}${keepAllocated ? ' keep' : ''}`;
    this.#submit(what, [offset, length], done, () => this.content.fill(0, offset, offset + length));
  }

  discard(offset: number, length: number, fua: boolean, done: NbdCompletion): void {
    this.#submit(
      `discard ${offset}+${length}${fua ? ' fua' : ''}`,
      [offset, length],
      done,
      () => {},
    );
  }

  flush(done: NbdCompletion): void {
    this.#submit('flush', [0, 0], done, () => {});
  }

  /** Nothing waits for its turn here. */
  dropWaiting(): void {}

  async allocation(offset: number, length: number, extentsMax: number) {
    this.calls.push(`status ${offset}+${length} max ${extentsMax}`);
    const failure = this.#judge([offset, length]);
    if (failure) throw failure;
    return [{ lengthBytes: length, state: 'hole' as const }];
  }

  #judge([offset, length]: readonly [number, number]): VolumeFailure | null {
    if (offset + length > this.content.length) return newFailure('out-of-range');
    return this.failure;
  }

  #submit(
    what: string,
    range: readonly [number, number],
    done: NbdCompletion,
    perform: () => void,
  ): void {
    this.calls.push(what);
    const failure = this.#judge(range);
    this.pending.push(() => {
      if (!failure) perform();
      done(failure);
    });
  }
}

/** Session, volume, and everything that the session asked of its owner. */
export class ScriptedSession {
  readonly volume: HeldVolume;
  readonly session: NbdSession;
  /** Whether the client takes what it is sent, at once. */
  isTaking = true;
  readonly buffers = new IoBufferPool([{ sizeBytes: 4096, countMax: 8 }], (sizeBytes) =>
    Buffer.alloc(sizeBytes, 0xee),
  );
  readonly #batch = new OutputBatch(Buffer.alloc(nbdOutputBatchBytes));
  readonly #sent = new NbdReplyReader();
  /** `reading on`, `disconnect <violation>`, `ended` and `open <name>`, in order. */
  readonly events: string[] = [];
  #sentBytes = 0;

  constructor({ sizeBytes = 1024 * 1024, isReadOnly = false } = {}) {
    this.volume = new HeldVolume(sizeBytes);
    const only = { name: 'volume/a', description: 'Volume a', sizeBytes, isReadOnly };
    const find = (name: string): NbdExport | NbdExportRefusal =>
      name === only.name ? only : { refused: 'unknown', message: `There is no export "${name}"` };
    const exports: NbdExports = {
      list: () => [only, { name: 'snapshot/b', description: 'Snapshot b' }],
      describe: find,
      open: (name) => {
        this.events.push(`open ${name}`);
        return find(name);
      },
    };
    this.session = new NbdSession({
      exports,
      openedVolume: () => this.volume,
      buffers: this.buffers,
      inputBytes: Buffer.alloc(nbdInputBytes),
      actions: {
        outputReady: () => undefined,
        setReading: (isReading) => this.events.push(isReading ? 'reading on' : 'reading off'),
        disconnect: (violation) => this.events.push(`disconnect ${violation ?? 'cleanly'}`),
        ended: () => this.events.push('ended'),
      },
    });
    this.session.start();
  }

  /** What the client has got so far. */
  get sent(): NbdReplyReader {
    this.#take();
    return this.#sent;
  }

  /** Bytes that the client has got so far. */
  get sentBytes(): number {
    this.#take();
    return this.#sentBytes;
  }

  #take(): void {
    while (this.isTaking && !this.session.isOutputEmpty) this.takeBatch();
  }

  /** Takes one batch, as a socket does. */
  takeBatch(): void {
    this.session.takeOutput(this.#batch);
    for (const { bytes, start, lengthBytes } of this.#batch.pieces.slice(
      0,
      this.#batch.pieceCount,
    )) {
      this.#sentBytes += lengthBytes;
      this.#sent.push(Buffer.from(bytes.subarray(start, start + lengthBytes)));
    }
    this.#batch.clear(this.buffers);
  }
}
