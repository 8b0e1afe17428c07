/**
 * Lets libuv watch a ring: calls back when it has completions and events are told (`Ring.setEvents`).
 *
 * The events come through an eventfd. Node.js has no way to watch one, so it takes the place of a pipe's reading end
 * that a socket of Node was opened on: to libuv both are descriptors that bytes are read from. A poll handle of the FFI
 * library would be more direct, but one that is left open when its thread ends crashes the process; a socket does not.
 */
import { Socket } from 'node:net';

import { RingRefusedError } from './ring-refused-error.ts';
import {
  closeDescriptor,
  createPipe,
  errorName,
  replaceDescriptor,
  ringSystemCalls,
} from './system-calls.ts';

/** The events of one ring. */
export class EventWatch {
  readonly #socket: Socket;

  /** @throws RingRefusedError */
  constructor(ringFd: number, onEvent: () => void) {
    const eventFd = checked(ringSystemCalls.createEventDescriptor(ringFd));
    const ends = new Int32Array(2);
    checked(createPipe(ends));
    const [readingEnd, writingEnd] = ends as unknown as [number, number];
    this.#socket = new Socket({
      fd: readingEnd,
      readable: true,
      writable: false,
      onread: {
        // The number of events, which nobody reads.
        buffer: new Uint8Array(64),
        callback: () => {
          onEvent();
          return true;
        },
      },
    });
    // Before libuv, in a later turn, looks at the descriptor for the first time.
    checked(replaceDescriptor(eventFd, readingEnd));
    closeDescriptor(eventFd);
    closeDescriptor(writingEnd);
    this.#socket.on('error', (error) => {
      throw error;
    });
    this.#socket.unref();
  }

  /** Whether the watch keeps its thread alive; at first, it does not. */
  setReferenced(isReferenced: boolean): void {
    if (isReferenced) this.#socket.ref();
    else this.#socket.unref();
  }

  close(): void {
    this.#socket.destroy();
  }
}

function checked(result: number): number {
  if (result >= 0) return result;
  throw new RingRefusedError('not-permitted', `Watching an io_uring failed: ${errorName(result)}`);
}
