/** How a connection goes from one thread to another: threads share descriptors, and each has its own Node sockets. */
import { Socket, type SocketConstructorOpts } from 'node:net';
import type { DuplexOptions } from 'node:stream';

import { closeDescriptor, duplicateDescriptor } from '../../uring/system-calls.ts';

/** How a socket is made. */
type SocketOptions = SocketConstructorOpts & Pick<DuplexOptions, 'highWaterMark'>;

/** The descriptor of a socket that Node has; undefined if this Node does not tell. */
export function descriptorOf(socket: Socket): number | undefined {
  const { _handle: handle } = socket as { _handle?: { fd?: unknown } };
  const fd = handle?.fd;
  return typeof fd === 'number' && fd >= 0 ? fd : undefined;
}

/**
 * A descriptor of the connection that outlives the socket, and what has arrived and was not read. The socket must be
 * destroyed in the same turn, before anything else arrives.
 */
export function leaveSocket(
  socket: Socket,
): { readonly fd: number; readonly unread: Buffer } | undefined {
  const own = descriptorOf(socket);
  const fd = own === undefined ? -1 : duplicateDescriptor(own);
  if (fd < 0) return undefined;
  socket.pause();
  // Reading tells them as well.
  socket.removeAllListeners('data');
  const chunks: Buffer[] = [];
  for (let chunk = socket.read() as Buffer | null; chunk; chunk = socket.read() as Buffer | null) {
    chunks.push(chunk);
  }
  return { fd, unread: Buffer.concat(chunks) };
}

/** A socket of this thread on such a descriptor; nothing is read from it yet. Undefined if it cannot be one. */
export function adoptSocket(fd: number, options: SocketOptions): Socket | undefined {
  const paused = { ...options, fd, readable: true, writable: true, pauseOnCreate: true };
  try {
    return new Socket(paused);
  } catch {
    closeDescriptor(fd);
    return undefined;
  }
}
