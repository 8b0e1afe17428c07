/**
 * Where NBD clients connect: unix sockets and loopback addresses. NBD here is without TLS, so nothing else
 * is allowed.
 */
import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { connect, createServer, isIP, type Server, type Socket } from 'node:net';

import { ProblemError } from '@varve/contract/problem';

import { systemCode } from '../device/device-open-error.ts';
import { nbdOutputBytesMax, socketPathBytesMax } from '../limits.ts';
import type { NbdListenAddress } from './messages.ts';

/**
 * Sockets that may be open towards a listener and not accepted yet: a burst of `nbdcopy` connections and
 * then some.
 */
const backlog = 128;

/** What sockets of NBD clients are made with. */
export const nbdSocketOptions = { allowHalfOpen: true, highWaterMark: nbdOutputBytesMax } as const;

/** A listening socket. */
export interface NbdListener {
  /** Where it is reached, e.g. `nbd://127.0.0.1:10809`. */
  readonly uri: string;
  /** Takes no further connections; those that are open stay. */
  close(): Promise<void>;
}

/**
 * Listens on an address.
 *
 * @throws ProblemError `invalid-argument`, `in-use` or `failed-precondition`.
 */
export async function listenForNbd(
  address: NbdListenAddress,
  accept: (socket: Socket) => void,
): Promise<NbdListener> {
  // Paused: whoever takes a socket over decides what reads from it.
  const server = createServer({ ...nbdSocketOptions, pauseOnConnect: true }, accept);
  if (address.kind === 'unix') {
    await prepareSocketPath(address.path);
    await listening(server, address.path, { path: address.path, backlog });
    chmodSync(address.path, 0o600);
    return { uri: `nbd+unix:///?socket=${encodePath(address.path)}`, close: () => closing(server) };
  }
  const { host, port } = address;
  checkLoopback(host);
  await listening(server, `${host}:${port}`, { host, port, backlog });
  const bound = server.address();
  const boundPort = typeof bound === 'object' && bound !== null ? bound.port : port;
  const uriHost = isIP(host) === 6 ? `[${host}]` : host;
  return { uri: `nbd://${uriHost}:${boundPort}`, close: () => closing(server) };
}

function checkLoopback(host: string): void {
  if (host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.')))
    return;
  throw new ProblemError(
    'invalid-argument',
    `Listen for NBD on "${host}": without TLS only a unix socket, 127.0.0.0/8, ::1 and localhost are allowed`,
  );
}

/** Removes the socket of a daemon that is gone; anything else that is there stays, and is an error. */
async function prepareSocketPath(path: string): Promise<void> {
  const action = `Listen for NBD on "${path}"`;
  const lengthBytes = Buffer.byteLength(path);
  if (lengthBytes > socketPathBytesMax) {
    throw new ProblemError(
      'invalid-argument',
      `${action}: the path has ${lengthBytes} bytes; a unix socket's may have ${socketPathBytesMax}`,
    );
  }
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found) return;
  if (!found.isSocket()) {
    throw new ProblemError('failed-precondition', `${action}: something else is there already`);
  }
  if (await isAnswering(path)) {
    throw new ProblemError('in-use', `${action}: another process listens there`, { blocker: path });
  }
  unlinkSync(path);
}

function isAnswering(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    // Only a refused connection proves that nobody is there.
    socket.once('error', (error) => resolve(systemCode(error) !== 'ECONNREFUSED'));
  });
}

function listening(
  server: Server,
  where: string,
  options: { path: string; backlog: number } | { host: string; port: number; backlog: number },
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const code = systemCode(cause) ?? String(cause);
      const kind = code === 'EADDRINUSE' ? 'in-use' : 'failed-precondition';
      reject(new ProblemError(kind, `Listen for NBD on "${where}": ${code}`, { cause }));
    });
    server.listen(options, resolve);
  });
}

function closing(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}

function encodePath(path: string): string {
  return encodeURIComponent(path).replaceAll('%2F', '/');
}
