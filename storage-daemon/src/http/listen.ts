/** Binds a server to its address. */
import { chmodSync, rmSync, statSync } from 'node:fs';
import { connect, type AddressInfo } from 'node:net';

import { ProblemError } from '@varve/contract/problem';
import type { FastifyInstance } from 'fastify';

import type { HttpListenAddress } from '../listen-address.ts';

/**
 * Listens, and answers the endpoint for clients, with the port that the kernel chose. Only the daemon's own
 * user may use a unix socket.
 *
 * @throws ProblemError if the address cannot be had.
 */
export async function listen(app: FastifyInstance, address: HttpListenAddress): Promise<string> {
  try {
    if (address.kind === 'unix') {
      await removeStaleSocket(address.path);
      await app.listen({ path: address.path });
      chmodSync(address.path, 0o600);
      return `unix://${address.path}`;
    }
    await app.listen({ host: address.host, port: address.port });
    const { port } = app.server.address() as AddressInfo;
    const host = address.host.includes(':') ? `[${address.host}]` : address.host;
    return `${address.kind}://${host}:${port}`;
  } catch (cause) {
    const where = address.kind === 'unix' ? address.path : `${address.host}:${address.port}`;
    throw new ProblemError(
      'failed-precondition',
      `Listening on ${address.kind} ${where} failed: ${(cause as Error).message}`,
      { cause },
    );
  }
}

/** A daemon that was killed leaves its socket behind. One that still answers is another daemon's. */
async function removeStaleSocket(path: string): Promise<void> {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw new Error('the path exists and is no socket');
  const isServed = await new Promise<boolean>((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('close', () => socket.destroy());
    socket.once('connect', () => socket.destroy());
  });
  if (isServed) throw new Error('another process serves this socket');
  rmSync(path);
}
