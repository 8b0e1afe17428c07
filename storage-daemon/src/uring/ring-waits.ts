/** Operations that wait for something else than data, and their cancellation. */
import type { Arena } from './arena.ts';
import { cancelFlag, opcode } from './kernel-abi.ts';
import type { OperationType, Ring } from './ring.ts';

/** `how` of shutdown(2). */
const shutdownWrites = 1;

/** Bytes that `writeTimeout` fills. */
export const timeoutBytes = 16;

/** Writes how long a timeout lasts into an arena, for `startTimeout`. */
export function writeTimeout(arena: Arena, offsetBytes: number, durationMs: number): void {
  const { words } = arena;
  const word = offsetBytes / 4;
  words[word] = durationMs / 1000;
  words[word + 1] = 0;
  words[word + 2] = (durationMs % 1000) * 1e6;
  words[word + 3] = 0;
}

/** Completes with ETIME after the time that lies at `address`, or with ECANCELED. */
export function startTimeout(
  ring: Ring,
  { type, slot }: { readonly type: OperationType; readonly slot: number },
  address: number,
): void {
  const entry = ring.prepare(opcode.timeout, -1, type, slot);
  ring.setBuffer(entry, address, 1);
}

/** Completes once, with the events of `poll(2)` that came. */
export function startPoll(
  ring: Ring,
  { type, slot }: { readonly type: OperationType; readonly slot: number },
  fd: number,
  events: number,
): void {
  const entry = ring.prepare(opcode.pollAdd, fd, type, slot);
  // poll32_events shares the place of the operation's flags.
  ring.setOperationFlags(entry, events);
}

/**
 * Cancels all operations on a descriptor: each completes with ECANCELED, or as if nothing had happened. The
 * cancellation completes itself, with how many it found, or ENOENT.
 */
export function cancelDescriptor(
  ring: Ring,
  { type, slot }: { readonly type: OperationType; readonly slot: number },
  fd: number,
): void {
  const entry = ring.prepare(opcode.asyncCancel, fd, type, slot);
  ring.setOperationFlags(entry, cancelFlag.all | cancelFlag.fileDescriptor);
}

/** Cancels one operation, by its type and slot; otherwise like `cancelDescriptor`. */
export function cancelOperation(
  ring: Ring,
  { type, slot }: { readonly type: OperationType; readonly slot: number },
  target: { readonly type: OperationType; readonly slot: number },
): void {
  const entry = ring.prepare(opcode.asyncCancel, -1, type, slot);
  // The address of this operation is the user data of the other.
  ring.setBuffer(entry, target.slot + target.type * 2 ** 32, 0);
}

/** Tells the other side of a socket that nothing more comes (SHUT_WR). */
export function shutDownSocket(
  ring: Ring,
  { type, slot }: { readonly type: OperationType; readonly slot: number },
  fd: number,
): void {
  const entry = ring.prepare(opcode.shutdown, fd, type, slot);
  ring.setBuffer(entry, 0, shutdownWrites);
}
