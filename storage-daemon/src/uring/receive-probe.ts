/**
 * Whether this kernel tells a sleeping thread, at once and each time, that a socket's bytes have come while the work
 * of receiving them is deferred until the thread enters its ring.
 *
 * Some do not, Linux 6.12.117 among them: for work that is added while a socket wakes its readers, they put the
 * event off until after an RCU grace period, do so for the first one only, and lose all others. A reactor then sleeps
 * although requests have come. Versions do not tell, as fixes and faults move between stable kernels; so it is tried.
 */
import { readSync, writeSync } from 'node:fs';

import { Arena } from './arena.ts';
import { Ring } from './ring.ts';
import { RingRefusedError } from './ring-refused-error.ts';
import { RingSocket } from './ring-socket.ts';
import { setupFlag } from './kernel-abi.ts';
import {
  closeDescriptor,
  createSocketPair,
  errorName,
  type RingSystemCalls,
} from './system-calls.ts';

/** Events after the first one were lost where it was seen; one more is asked for. */
const receives = 3;
const receiveBytes = 64;
/** Bounds the wait for bytes that are there already. */
const waitMicroseconds = 1_000_000;

/** True too where the kernel does not defer work. @throws RingRefusedError */
export function tellsOfReceives(calls: RingSystemCalls): boolean {
  const ring = new Ring({ submissionEntries: 8, completionEntries: 16, backlogEntries: 8 }, calls);
  if ((ring.flags & setupFlag.deferTaskRun) === 0) {
    ring.close();
    return true;
  }
  const memory = new Arena({ sizeBytes: 4096 });
  const ends = new Int32Array(2);
  const descriptors: number[] = [];
  try {
    const events = checked(calls.createEventDescriptor(ring.fd));
    descriptors.push(events);
    checked(createSocketPair(ends));
    const [near, far] = ends as unknown as [number, number];
    descriptors.push(near, far);
    const socket = new RingSocket(ring, near);
    const type = ring.addHandler(() => undefined);
    for (let count = 0; count < receives; count++) {
      ring.setEvents(true);
      socket.receive(type, 0, memory.address, receiveBytes);
      ring.submit();
      writeSync(far, 'x');
      if (!hasEvent(events)) return false;
      ring.setEvents(false);
      ring.submit(waitMicroseconds);
      ring.reap();
    }
    return true;
  } finally {
    ring.close();
    for (const fd of descriptors) closeDescriptor(fd);
    memory.unmap();
  }
}

/** Takes the event. */
function hasEvent(fd: number): boolean {
  try {
    return readSync(fd, new Uint8Array(8)) === 8;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return false;
    throw error;
  }
}

function checked(result: number): number {
  if (result >= 0) return result;
  throw new RingRefusedError('not-permitted', `Trying an io_uring failed: ${errorName(result)}`);
}
