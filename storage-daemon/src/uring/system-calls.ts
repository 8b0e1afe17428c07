/**
 * The system calls that Node.js has no function for, through libc. Results are as the kernel gives them: a
 * negative number is an error's.
 *
 * Addresses are JavaScript numbers: those of a process are below 2^47, so a double holds them exactly.
 */
import { endianness } from 'node:os';

import { assert } from '@varve/common/assert';
import koffi from 'koffi';

import { eventDescriptorFlag, registerOperation, systemCall } from './kernel-abi.ts';

assert(endianness() === 'LE', 'io_uring is supported on little-endian machines only');

/** `F_DUPFD_CLOEXEC` of fcntl(2). */
const duplicateCloseOnExec = 1030;

/** `AF_UNIX`, and `SOCK_STREAM | SOCK_CLOEXEC`, of socketpair(2). */
const socketType = { unix: 1, streamCloseOnExec: 0x80001 } as const;

const libc = koffi.load(null);
const setupFunction = libc.func('int64_t syscall(int64_t number, uint32_t entries, void *params)');
// Words and not pointers: nothing is converted in the one call of the hot path.
const enterFunction = libc.func(
  'int64_t syscall(int64_t number, int64_t fd, int64_t toSubmit, int64_t minComplete, int64_t flags, ' +
    'int64_t argument, int64_t argumentBytes)',
);
const registerFunction = libc.func(
  'int64_t syscall(int64_t number, int fd, uint32_t operation, void *argument, uint32_t count)',
);
const eventDescriptorFunction = libc.func('int eventfd(uint32_t value, int flags)');
const pipeFunction = libc.func('int pipe2(int *ends, int flags)');
const socketPairFunction = libc.func(
  'int socketpair(int domain, int type, int protocol, int *ends)',
);
const replaceFunction = libc.func('int dup3(int fd, int target, int flags)');
const controlFunction = libc.func('int fcntl(int fd, int command, int argument)');
const closeFunction = libc.func('int close(int fd)');
const shutdownFunction = libc.func('int shutdown(int socket, int how)');
/** `SHUT_RDWR` of shutdown(2). */
const bothWays = 2;
const mmapFunction = libc.func(
  'int64_t mmap(int64_t address, int64_t length, int protection, int flags, int fd, int64_t offset)',
);
const munmapFunction = libc.func('int munmap(int64_t address, int64_t length)');
const mlockFunction = libc.func('int mlock(int64_t address, int64_t length)');
const prctlFunction = libc.func(
  'int prctl(int option, int64_t a, int64_t b, int64_t c, int64_t d)',
);

/** Arguments of `io_uring_enter` that stay the same between calls. */
export interface EnterArgument {
  /** Of the wait argument. */
  readonly address: number;
  readonly sizeBytes: number;
}

/** What a ring asks of the kernel; tests put failures in between. */
export interface RingSystemCalls {
  /** Answers the ring's file descriptor; `parameters` is `struct io_uring_params`. */
  readonly setup: (entries: number, parameters: Uint32Array) => number;
  readonly enter: (
    fd: number,
    counts: EnterCounts,
    flags: number,
    argument: EnterArgument,
  ) => number;
  /** A descriptor that is readable from the moment on at which the ring has completions, until it is read. */
  readonly createEventDescriptor: (ringFd: number) => number;
}

/** How many entries to take and how many completions to wait for; one object is reused for all calls. */
export interface EnterCounts {
  toSubmit: number;
  minComplete: number;
}

/** The kernel itself. */
export const ringSystemCalls: RingSystemCalls = {
  setup: (entries, parameters) =>
    check(setupFunction(systemCall.ioUringSetup, entries, parameters)),
  enter: (fd, { toSubmit, minComplete }, flags, { address, sizeBytes }) => {
    const result: unknown = enterFunction(
      systemCall.ioUringEnter,
      fd,
      toSubmit,
      minComplete,
      flags,
      address,
      sizeBytes,
    );
    return check(result);
  },
  createEventDescriptor,
};

function createEventDescriptor(ringFd: number): number {
  const { closeOnExec, nonBlocking } = eventDescriptorFlag;
  const fd = check(eventDescriptorFunction(0, closeOnExec | nonBlocking));
  if (fd < 0) return fd;
  const argument = Int32Array.of(fd);
  const { eventDescriptor } = registerOperation;
  const call = systemCall.ioUringRegister;
  const result = check(registerFunction(call, ringFd, eventDescriptor, argument, 1));
  if (result >= 0) return fd;
  closeDescriptor(fd);
  return result;
}

/** Fills in two connected unix sockets. */
export function createSocketPair(ends: Int32Array): number {
  return check(socketPairFunction(socketType.unix, socketType.streamCloseOnExec, 0, ends));
}

/** Fills in the reading and the writing end. */
export function createPipe(ends: Int32Array): number {
  return check(pipeFunction(ends, eventDescriptorFlag.closeOnExec));
}

/** Another descriptor of what `fd` is open on, to be closed by `closeDescriptor`. */
export function duplicateDescriptor(fd: number): number {
  return check(controlFunction(fd, duplicateCloseOnExec, 0));
}

/** Makes `target` another number of what `fd` is open on; what it was open on before is closed. */
export function replaceDescriptor(fd: number, target: number): number {
  return check(replaceFunction(fd, target, eventDescriptorFlag.closeOnExec));
}

/**
 * Closes a descriptor that the kernel gave to us and not to Node.js, which keeps a list of its own in each thread and
 * warns of any other.
 */
export function closeDescriptor(fd: number): number {
  return check(closeFunction(fd));
}

/** Ends the connection of a socket at once, whoever else still holds it open. */
export function endConnection(fd: number): number {
  return check(shutdownFunction(fd, bothWays));
}

/** Maps `lengthBytes`; answers the address. `fd` is -1 for memory that is no file's. */
export function mapMemory(
  lengthBytes: number,
  protectionAndFlags: { readonly protection: number; readonly flags: number },
  fd: number,
  offsetBytes: number,
): number {
  const { protection, flags } = protectionAndFlags;
  return check(mmapFunction(0, lengthBytes, protection, flags, fd, offsetBytes));
}

/** Ends a mapping. */
export function unmapMemory(address: number, lengthBytes: number): number {
  return check(munmapFunction(address, lengthBytes));
}

/** Keeps memory from being swapped out. */
export function lockMemory(address: number, lengthBytes: number): number {
  return check(mlockFunction(address, lengthBytes));
}

/** `prctl(2)` with one argument. */
export function controlProcess(option: number, value: number): number {
  return check(prctlFunction(option, value, 0, 0, 0));
}

/** Memory at an address as an ArrayBuffer. At most one for each mapping: V8 wants them disjoint. */
export function viewMemory(address: number, lengthBytes: number): ArrayBuffer {
  return koffi.view(BigInt(address), lengthBytes);
}

/** Where bytes of the JavaScript heap lie. They must be a buffer's own memory, which does not move. */
export function addressOfBytes(bytes: Uint8Array): number {
  return Number(koffi.address(bytes));
}

/** The name of an error, e.g. `EPERM`; takes both signs. */
export function errorName(errorNumber: number): string {
  const positive = Math.abs(errorNumber);
  const found = Object.entries(koffi.os.errno).find(([, value]) => value === positive);
  return found?.[0] ?? `errno ${positive}`;
}

function check(result: unknown): number {
  const value = Number(result);
  return value === -1 ? -koffi.errno() : value;
}
