/** What tests of the ring need: small rings, an arena, connected sockets, pipes. */
import { closeSync } from 'node:fs';

import koffi from 'koffi';

import { Arena, type SlotPool } from '../../uring/arena.ts';
import { type CompletionHandler, Ring, type RingOptions } from '../../uring/ring.ts';
import { ringSystemCalls, type RingSystemCalls } from '../../uring/system-calls.ts';

const libc = koffi.load(null);
const socketPairFunction = libc.func(
  'int socketpair(int domain, int type, int protocol, int *pair)',
);
const socketFunction = libc.func('int socket(int domain, int type, int protocol)');
const bindFunction = libc.func('int bind(int fd, uint8_t *address, uint32_t sizeBytes)');
const listenFunction = libc.func('int listen(int fd, int backlog)');
const pipeFunction = libc.func('int pipe(int *ends)');

/** One completion as it came. */
export interface Completion {
  readonly slot: number;
  readonly result: number;
  readonly flags: number;
}

/** A small ring with an arena of eight pages, a type whose completions are kept, and descriptors to close. */
export class RingFixture {
  readonly ring: Ring;
  readonly pages: SlotPool;
  readonly completions: Completion[] = [];
  readonly type: number;
  readonly #descriptors: number[] = [];

  constructor(options: Partial<RingOptions> = {}, calls: RingSystemCalls = ringSystemCalls) {
    this.ring = new Ring(
      { submissionEntries: 8, completionEntries: 16, backlogEntries: 64, ...options },
      calls,
    );
    const arena = new Arena({ sizeBytes: 8 * 4096 });
    this.pages = arena.createPool({ slotBytes: 4096, slotCount: 8 });
    const keep: CompletionHandler = (slot, result, flags) => {
      this.completions.push({ slot, result, flags });
    };
    this.type = this.ring.addHandler(keep);
  }

  /** Submits and reaps until there are so many completions; answers them in order of slots and forgets them. */
  collect(count: number): readonly Completion[] {
    for (let waits = 0; this.completions.length < count && waits < 1000; waits++) {
      this.ring.submit(10_000);
      this.ring.reap();
    }
    return this.completions.splice(0, count).sort((a, b) => a.slot - b.slot);
  }

  /** Two connected sockets. */
  socketPair(): readonly [number, number] {
    return this.#pair((pair) => socketPairFunction(1, 1, 0, pair));
  }

  /** A unix socket that listens, and that nothing but the test accepts from. */
  listen(path: string): number {
    const fd = socketFunction(1, 1, 0) as number;
    this.#descriptors.push(fd);
    const address = Buffer.alloc(110);
    address.writeUInt16LE(1, 0);
    address.write(path, 2);
    if (bindFunction(fd, address, address.length) !== 0 || listenFunction(fd, 8) !== 0) {
      throw new Error(`errno ${koffi.errno()}`);
    }
    return fd;
  }

  /** Reading and writing end of a pipe. */
  pipe(): readonly [number, number] {
    return this.#pair((ends) => pipeFunction(ends));
  }

  /** Closes a descriptor before the end of the test. */
  closeDescriptor(fd: number): void {
    closeSync(fd);
    this.#descriptors.splice(this.#descriptors.indexOf(fd), 1);
  }

  close(): void {
    this.ring.close();
    for (const fd of this.#descriptors) closeSync(fd);
  }

  #pair(call: (pair: Int32Array) => number): readonly [number, number] {
    const pair = new Int32Array(2);
    if (call(pair) !== 0) throw new Error(`errno ${koffi.errno()}`);
    const [first, second] = pair as unknown as [number, number];
    this.#descriptors.push(first, second);
    return [first, second];
  }
}
