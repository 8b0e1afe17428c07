/**
 * What the Linux kernel and we must agree on, byte for byte: numbers and layouts of io_uring and of the few
 * structures that its operations point to. Nothing else in this folder names an offset or a flag's value.
 *
 * Sources: `include/uapi/linux/io_uring.h` (io_uring, versions of the kernel beside each flag),
 * `include/uapi/linux/uio.h` and `include/linux/socket.h` (iovec, msghdr on 64 bits), `asm-generic/mman.h`,
 * `asm-generic/errno-base.h`, `asm-generic/errno.h`, `include/uapi/linux/fs.h` (RWF). The system call numbers are
 * the same on x86-64 and arm64 (`asm-generic/unistd.h`). Both are little-endian, which `system-calls` asserts.
 */

/** System calls that libc has no function for. */
export const systemCall = { ioUringSetup: 425, ioUringEnter: 426, ioUringRegister: 427 } as const;

/** `IORING_OP_*` */
export const opcode = {
  noOperation: 0,
  fsync: 3,
  pollAdd: 6,
  sendMessage: 9,
  timeout: 11,
  accept: 13,
  asyncCancel: 14,
  read: 22,
  write: 23,
  send: 26,
  receive: 27,
  shutdown: 34,
} as const;

/** `IORING_SETUP_*` */
export const setupFlag = {
  /** `cqEntries` of the parameters counts. */
  completionQueueSize: 1 << 3,
  /** 5.18: goes on with the batch after an entry that is refused. */
  submitAll: 1 << 7,
  /** 5.19: completions do not interrupt the thread. */
  cooperativeTaskRun: 1 << 8,
  /** 6.0: one thread submits. */
  singleIssuer: 1 << 12,
  /** 6.1: completions are worked off when the thread asks for them. */
  deferTaskRun: 1 << 13,
  /** 6.6: no index array between the queue and its entries. */
  noSubmissionArray: 1 << 16,
} as const;

/** `IORING_FEAT_*` */
export const featureFlag = {
  /** 5.4: one mapping for both queues. */
  singleMapping: 1 << 0,
  /** 5.5: completions that do not fit the queue are kept. */
  noDrop: 1 << 1,
  /** 5.11: `io_uring_enter` takes a timeout. */
  extendedArgument: 1 << 8,
} as const;

/** `IORING_ENTER_*` */
export const enterFlag = { getEvents: 1 << 0, extendedArgument: 1 << 3 } as const;

/** `IORING_SQ_*`: what the kernel says in the flags of the submission queue. */
export const submissionQueueFlag = { completionQueueOverflow: 1 << 1 } as const;

/** `IORING_CQ_*`: what we say in the flags of the completion queue (5.8). */
export const completionQueueFlag = { eventDescriptorDisabled: 1 << 0 } as const;

/** `IORING_REGISTER_*` */
export const registerOperation = { eventDescriptor: 4 } as const;

/** `EFD_*` of eventfd(2). */
export const eventDescriptorFlag = { closeOnExec: 0o2000000, nonBlocking: 0o4000 } as const;

/** `IORING_CQE_F_*` */
export const completionFlag = { more: 1 << 1 } as const;

/** `IORING_FSYNC_*` */
export const fsyncFlag = { dataOnly: 1 << 0 } as const;

/** `IORING_ACCEPT_*`, in the entry's I/O priority. */
export const acceptFlag = { multishot: 1 << 0 } as const;

/** `IORING_ASYNC_CANCEL_*` (5.19) */
export const cancelFlag = { all: 1 << 0, fileDescriptor: 1 << 1, any: 1 << 2 } as const;

/** `RWF_*` of a read or write. */
export const readWriteFlag = { dataSync: 2 } as const;

/** `MSG_*` of send and receive. */
export const messageFlag = { waitAll: 0x100, noSignal: 0x4000 } as const;

/** `SOCK_*` of accept. */
export const socketFlag = { closeOnExec: 0o2000000 } as const;

/** `poll(2)` */
export const pollEvent = { readable: 1, writable: 4 } as const;

/** Offsets in the ring's file for `mmap`: both queues, and the entries of the submission queue. */
export const ringOffset = { queues: 0, submissionEntries: 0x10000000 } as const;

/** `struct io_uring_params`, in 32-bit words. */
export const parametersWords = 30;
/** Words of `struct io_uring_params`; `sq` and `cq` are where the offsets of the two queues begin. */
export const parametersWord = {
  submissionEntries: 0,
  completionEntries: 1,
  flags: 2,
  features: 5,
  submissionOffsets: 10,
  completionOffsets: 20,
} as const;
/** `struct io_sqring_offsets`, in words. */
export const submissionOffsetWord = { head: 0, tail: 1, flags: 4, array: 6 } as const;
/** `struct io_cqring_offsets`, in words. */
export const completionOffsetWord = { head: 0, tail: 1, entries: 5, flags: 6 } as const;

/** `struct io_uring_sqe`, in words. */
export const submissionWords = 16;
/**
 * Words of `struct io_uring_sqe`. The first holds opcode (8 bits), flags (8) and I/O priority (16). 64-bit fields
 * take two words, low half first.
 */
export const submissionWord = {
  operation: 0,
  fileDescriptor: 1,
  offset: 2,
  address: 4,
  length: 6,
  operationFlags: 7,
  userData: 8,
  /** Fields that no operation here uses: 0. */
  rest: 10,
} as const;
/** Where the I/O priority begins in the first word of a submission. */
export const ioPriorityShift = 16;

/** `struct io_uring_cqe`, in words. */
export const completionWords = 4;
/** Words of `struct io_uring_cqe`. */
export const completionWord = { userData: 0, result: 2, flags: 3 } as const;

/**
 * `struct io_uring_getevents_arg` (24 bytes) with a `struct __kernel_timespec` (16) behind it, in words: the timeout
 * of `io_uring_enter`.
 */
export const waitArgumentBytes = 24;
/** Words of the wait argument and its timeout. */
export const waitArgumentWord = { timeoutAddress: 4, seconds: 6, nanoseconds: 8 } as const;

/** `struct msghdr`, in words. */
export const messageHeaderWords = 14;
/** Words of `struct msghdr`: the list of `struct iovec` and its length. */
export const messageHeaderWord = { vectors: 4, vectorCount: 6 } as const;
/** `struct iovec`, in words: address, length. */
export const vectorWords = 4;

/** `PROT_*` and `MAP_*` */
export const mapFlag = {
  readWrite: 3,
  shared: 1,
  private: 2,
  anonymous: 0x20,
  populate: 0x8000,
} as const;

/** Errors that are told apart here. */
export const errno = {
  notPermitted: 1,
  interrupted: 4,
  io: 5,
  tryAgain: 11,
  noMemory: 12,
  accessDenied: 13,
  busy: 16,
  invalid: 22,
  noSuchSystemCall: 38,
  timerExpired: 62,
  canceled: 125,
} as const;
