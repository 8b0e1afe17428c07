/**
 * One io_uring: entries are written into mapped memory, submitted in batches by one system call, and completions are
 * read from mapped memory. Nothing is allocated for an operation: who starts one owns a slot in tables of its own, and
 * gets that slot's number back with the result.
 *
 * - Operations start with `prepare`, mostly through `ring-file` and `ring-socket`. They reach the kernel with the next
 *   `submit`, which is also made when the queue is full. What the kernel does not take then waits in a backlog of
 *   fixed size, in order.
 * - `reap` hands out completions, never anything else does: so an operation never completes before the call that
 *   started it returns.
 * - Completions beyond the queue's size are kept by the kernel, none is lost.
 * - A ring belongs to the thread that created it (SINGLE_ISSUER).
 */
import { assert } from '@varve/common/assert';

import { Arena } from './arena.ts';
import {
  cancelFlag,
  completionFlag,
  completionOffsetWord,
  completionQueueFlag,
  completionWord,
  completionWords,
  enterFlag,
  errno,
  ioPriorityShift,
  opcode,
  parametersWord,
  setupFlag,
  submissionOffsetWord,
  submissionQueueFlag,
  submissionWord,
  submissionWords,
  waitArgumentBytes,
  waitArgumentWord,
} from './kernel-abi.ts';
import { createRing, type RingMemory, type RingSizes } from './ring-setup.ts';
import {
  closeDescriptor,
  type EnterArgument,
  type EnterCounts,
  errorName,
  ringSystemCalls,
  type RingSystemCalls,
} from './system-calls.ts';

/**
 * Gets a completion: the slot that the operation was started with, what the system call would have answered
 * (negative: an error's number), and flags. With `completionFlag.more`, the operation goes on.
 */
export type CompletionHandler = (slot: number, result: number, flags: number) => void;

/** Names a handler in operations. */
export type OperationType = number;

/** Sizes of a ring's queues. */
export interface RingOptions extends RingSizes {
  /** Operations that wait while the kernel takes none. Their owners are bounded, so it need not be exceeded. */
  readonly backlogEntries: number;
}

/**
 * Failures in a row that mean a mistake of ours. Fewer may be misread: between a failed call and the look at its
 * error's number, the JavaScript engine may make system calls of its own.
 */
const failuresMax = 100;

/** One turn of a closing ring waits this long for canceled operations, and this many turns are made. */
const closeWaitMicroseconds = 10_000;
const closeWaitsMax = 1_000;

/** An open ring. */
export class Ring {
  readonly fd: number;
  /** The flags that the kernel took. */
  readonly flags: number;
  readonly #memory: RingMemory;
  readonly #calls: RingSystemCalls;
  /** By type; a type whose owner is gone has none and is given out again. */
  readonly #handlers: (CompletionHandler | undefined)[] = [];
  #onQueued: (() => void) | undefined;
  #isAnnounced = false;
  readonly #queues: Int32Array;
  readonly #submissionMask: number;
  readonly #completionMask: number;
  /** Indexes of words in `#queues`. */
  readonly #word: {
    readonly submissionHead: number;
    readonly submissionTail: number;
    readonly submissionFlags: number;
    readonly completionHead: number;
    readonly completionTail: number;
    readonly completions: number;
    readonly completionFlags: number;
  };
  /** What the next setters write to: the queue, or the backlog. */
  #target: Uint32Array;
  #tail = 0;
  /** Where the kernel has got to: it moves inside of `io_uring_enter` alone, as there is no polling thread. */
  #head = 0;
  #completionHead = 0;
  readonly #backlog: Uint32Array;
  readonly #backlogMax: number;
  #backlogFirst = 0;
  #backlogCount = 0;
  #inFlightCount = 0;
  #enterCount = 0;
  #failureCount = 0;
  #isClosed = false;
  readonly #counts: EnterCounts = { toSubmit: 0, minComplete: 0 };
  readonly #wait: Arena;
  readonly #waitWords: Uint32Array;
  readonly #waitArgument: EnterArgument;
  readonly #noArgument: EnterArgument = { address: 0, sizeBytes: 0 };

  /** @throws RingRefusedError */
  constructor(options: RingOptions, calls: RingSystemCalls = ringSystemCalls) {
    const memory = createRing(options, calls);
    const { parameters, queues } = memory;
    this.#memory = memory;
    this.#calls = calls;
    this.fd = memory.fd;
    this.flags = memory.flags;
    this.#queues = queues;
    this.#target = memory.entries;
    const submission = parametersWord.submissionOffsets;
    const completion = parametersWord.completionOffsets;
    const wordOf = (index: number): number => parameters[index]! / 4;
    this.#word = {
      submissionHead: wordOf(submission + submissionOffsetWord.head),
      submissionTail: wordOf(submission + submissionOffsetWord.tail),
      submissionFlags: wordOf(submission + submissionOffsetWord.flags),
      completionHead: wordOf(completion + completionOffsetWord.head),
      completionTail: wordOf(completion + completionOffsetWord.tail),
      completions: wordOf(completion + completionOffsetWord.entries),
      completionFlags: wordOf(completion + completionOffsetWord.flags),
    };
    const entryCount = parameters[parametersWord.submissionEntries]!;
    this.#submissionMask = entryCount - 1;
    this.#completionMask = parameters[parametersWord.completionEntries]! - 1;
    if ((memory.flags & setupFlag.noSubmissionArray) === 0) {
      // Entries are used in order: the array that could order them otherwise is filled once.
      const array = wordOf(submission + submissionOffsetWord.array);
      for (let index = 0; index < entryCount; index++) queues[array + index] = index;
    }
    this.#backlogMax = options.backlogEntries;
    this.#backlog = new Uint32Array(options.backlogEntries * submissionWords);
    const wait = new Arena({ sizeBytes: 4096 });
    this.#wait = wait;
    this.#waitWords = wait.words;
    const timeoutAddress = wait.address + waitArgumentBytes;
    wait.words[waitArgumentWord.timeoutAddress] = timeoutAddress;
    wait.words[waitArgumentWord.timeoutAddress + 1] = timeoutAddress / 2 ** 32;
    this.#waitArgument = { address: wait.address, sizeBytes: waitArgumentBytes };
  }

  /** Operations that were prepared and have not completed. */
  get inFlightCount(): number {
    return this.#inFlightCount;
  }

  /** Operations that the kernel has not got yet. */
  get queuedCount(): number {
    return this.#queueLength() + this.#backlogCount;
  }

  /** System calls made so far. */
  get enterCount(): number {
    return this.#enterCount;
  }

  /** Registers who gets the completions of operations of a new type. */
  addHandler(handler: CompletionHandler): OperationType {
    const free = this.#handlers.indexOf(undefined);
    const type = free === -1 ? this.#handlers.length : free;
    this.#handlers[type] = handler;
    return type;
  }

  /** Gives a type back whose operations have all completed. */
  removeHandler(type: OperationType): void {
    this.#handlers[type] = undefined;
  }

  /** Who is told, once until the next `submit`, that operations were prepared: the loop. */
  setQueuedListener(listener: () => void): void {
    this.#onQueued = listener;
  }

  /** Whether completions are told to the ring's event descriptor: only while the thread is about to sleep. */
  setEvents(isTold: boolean): void {
    const flags = isTold ? 0 : completionQueueFlag.eventDescriptorDisabled;
    Atomics.store(this.#queues, this.#word.completionFlags, flags);
  }

  /**
   * Begins an operation; the setters that follow, before the next `prepare`, fill in its other fields. Answers
   * what these take.
   */
  prepare(operation: number, fd: number, type: OperationType, slot: number): number {
    assert(!this.#isClosed, 'the ring is closed');
    if (this.#backlogCount > 0 || this.#queueLength() > this.#submissionMask) this.submit();
    let entry: number;
    if (this.#backlogCount > 0 || this.#queueLength() > this.#submissionMask) {
      assert(
        this.#backlogCount < this.#backlogMax,
        'more operations than the backlog has room for',
      );
      const position = (this.#backlogFirst + this.#backlogCount++) % this.#backlogMax;
      this.#target = this.#backlog;
      entry = position * submissionWords;
    } else {
      this.#target = this.#memory.entries;
      entry = (this.#tail & this.#submissionMask) * submissionWords;
      this.#tail = (this.#tail + 1) | 0;
    }
    this.#inFlightCount++;
    if (!this.#isAnnounced) {
      this.#isAnnounced = true;
      this.#onQueued?.();
    }
    const words = this.#target;
    words[entry] = operation;
    words[entry + submissionWord.fileDescriptor] = fd;
    // What the last user of the entry left there; a call of `fill` takes longer for so few words.
    for (let word = entry + submissionWord.offset; word < entry + submissionWord.userData; word++) {
      words[word] = 0;
    }
    words[entry + submissionWord.userData] = slot;
    words[entry + submissionWord.userData + 1] = type;
    for (let word = entry + submissionWord.rest; word < entry + submissionWords; word++) {
      words[word] = 0;
    }
    return entry;
  }

  /** Memory that the operation reads or writes. */
  setBuffer(entry: number, address: number, length: number): void {
    const words = this.#target;
    words[entry + submissionWord.address] = address;
    words[entry + submissionWord.address + 1] = address / 2 ** 32;
    words[entry + submissionWord.length] = length;
  }

  /** Where in the file; for some operations a second address or a count. */
  setOffset(entry: number, offset: number): void {
    const words = this.#target;
    words[entry + submissionWord.offset] = offset;
    words[entry + submissionWord.offset + 1] = offset / 2 ** 32;
  }

  /** Flags of the operation's own kind: `RWF_*`, `MSG_*` and so on. */
  setOperationFlags(entry: number, flags: number): void {
    this.#target[entry + submissionWord.operationFlags] = flags;
  }

  /** The entry's I/O priority, which some operations use for flags. */
  setIoPriority(entry: number, priority: number): void {
    const words = this.#target;
    words[entry] = (words[entry]! & 0xffff) | (priority << ioPriorityShift);
  }

  /**
   * Hands all prepared operations to the kernel, and waits until at least one completion can be reaped, or for
   * `waitMicroseconds`; 0 does not wait. Answers how many can be reaped.
   */
  submit(waitMicroseconds = 0): number {
    this.#moveBacklog();
    while (this.#backlogCount > 0) {
      this.#enter(0);
      // The kernel takes nothing now: completions must be reaped first.
      if (this.#moveBacklog() === 0) return this.readyCount;
    }
    this.#enter(waitMicroseconds);
    return this.readyCount;
  }

  /** Completions that can be reaped without a system call. */
  get readyCount(): number {
    const tail = Atomics.load(this.#queues, this.#word.completionTail);
    return (tail - this.#completionHead) | 0;
  }

  /**
   * Calls the handlers of all completions that are there now; answers how many. Handlers may prepare operations;
   * what completes meanwhile is for the next call.
   */
  reap(): number {
    const queues = this.#queues;
    const { completionTail, completionHead, completions } = this.#word;
    const tail = Atomics.load(queues, completionTail);
    let count = 0;
    while (this.#completionHead !== tail) {
      const at = completions + (this.#completionHead & this.#completionMask) * completionWords;
      const slot = queues[at + completionWord.userData]!;
      const type = queues[at + completionWord.userData + 1]!;
      const result = queues[at + completionWord.result]!;
      const flags = queues[at + completionWord.flags]!;
      this.#completionHead = (this.#completionHead + 1) | 0;
      // Before the handler, which may throw: the completion is taken.
      Atomics.store(queues, completionHead, this.#completionHead);
      if ((flags & completionFlag.more) === 0) this.#inFlightCount--;
      count++;
      if (type !== cancelType) this.#handlers[type]!(slot, result, flags);
    }
    return count;
  }

  /** Cancels what is under way and waits for its end: handlers get these completions. May be called twice. */
  close(): void {
    if (this.#isClosed) return;
    for (let waits = 0; this.#inFlightCount > 0; waits++) {
      assert(waits < closeWaitsMax, `${this.#inFlightCount} operations do not end`);
      this.submit();
      if (this.#inFlightCount > 0 && this.readyCount === 0) this.#cancelAll();
      this.submit(closeWaitMicroseconds);
      this.reap();
    }
    this.#isClosed = true;
    closeDescriptor(this.fd);
    this.#memory.unmap();
    this.#wait.unmap();
  }

  #cancelAll(): void {
    const entry = this.prepare(opcode.asyncCancel, -1, cancelType, 0);
    this.setOperationFlags(entry, cancelFlag.any | cancelFlag.all);
  }

  #queueLength(): number {
    return (this.#tail - this.#head) | 0;
  }

  /** Copies waiting operations into the queue, in order; answers how many. */
  #moveBacklog(): number {
    let moved = 0;
    const { entries } = this.#memory;
    while (this.#backlogCount > 0 && this.#queueLength() <= this.#submissionMask) {
      const from = this.#backlogFirst * submissionWords;
      const to = (this.#tail & this.#submissionMask) * submissionWords;
      entries.set(this.#backlog.subarray(from, from + submissionWords), to);
      this.#tail = (this.#tail + 1) | 0;
      this.#backlogFirst = (this.#backlogFirst + 1) % this.#backlogMax;
      this.#backlogCount--;
      moved++;
    }
    return moved;
  }

  #enter(waitMicroseconds: number): void {
    this.#isAnnounced = false;
    const queues = this.#queues;
    const counts = this.#counts;
    Atomics.store(queues, this.#word.submissionTail, this.#tail);
    counts.toSubmit = this.#queueLength();
    let argument = this.#noArgument;
    let flags: number = enterFlag.getEvents;
    counts.minComplete = 0;
    if (waitMicroseconds > 0 && this.readyCount === 0) {
      const words = this.#waitWords;
      words[waitArgumentWord.seconds] = waitMicroseconds / 1e6;
      words[waitArgumentWord.nanoseconds] = (waitMicroseconds % 1e6) * 1000;
      argument = this.#waitArgument;
      flags |= enterFlag.extendedArgument;
      counts.minComplete = 1;
    }
    this.#enterCount++;
    const result = this.#calls.enter(this.fd, counts, flags, argument);
    // What was taken is read from the queue's head, whatever the answer is.
    this.#head = Atomics.load(queues, this.#word.submissionHead);
    if (result >= 0) this.#failureCount = 0;
    else if (!isTemporary(-result) && ++this.#failureCount === failuresMax) {
      assert(false, `io_uring_enter failed: ${errorName(result)}`);
    }
  }

  /** True while the kernel keeps completions that did not fit the queue; the next `submit` fetches them. */
  get hasOverflow(): boolean {
    const flags = Atomics.load(this.#queues, this.#word.submissionFlags);
    return (flags & submissionQueueFlag.completionQueueOverflow) !== 0;
  }
}

/** The type of cancellations by the ring itself; nobody waits for these. */
const cancelType = -1;

/** Not all could be taken now, or nothing completed in time. */
function isTemporary(errorNumber: number): boolean {
  switch (errorNumber) {
    case errno.interrupted:
    case errno.timerExpired:
    case errno.tryAgain:
    case errno.busy:
    case errno.noMemory:
      return true;
    default:
      return false;
  }
}
