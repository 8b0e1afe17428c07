/** Where NVMe/TCP hosts connect: addresses that they know, so no wildcard. */
import { createServer, isIP, type Socket } from 'node:net';

import { ProblemError } from '@varve/contract/problem';

import { systemCode } from '../../device/device-open-error.ts';
import { nvmeOutputBytesMax } from '../../limits.ts';
import type { NvmeListenAddress } from '../messages.ts';

/** A host of many processors opens all of its queues at once, and after an outage all hosts do. */
const backlog = 1024;

/** What sockets of NVMe/TCP hosts are made with. */
export const nvmeSocketOptions = {
  highWaterMark: nvmeOutputBytesMax,
  allowHalfOpen: true,
} as const;

/** A listening socket. */
export interface NvmeListener {
  /** Where it listens, its port included if the kernel chose that. */
  readonly address: NvmeListenAddress;
  /** Takes no further connections; those that are open stay. */
  close(): Promise<void>;
}

/**
 * Listens on an address.
 *
 * @throws ProblemError `in-use` or `failed-precondition`.
 */
export async function listenForNvme(
  { host, port }: NvmeListenAddress,
  accept: (socket: Socket) => void,
): Promise<NvmeListener> {
  const server = createServer(
    { ...nvmeSocketOptions, noDelay: true, pauseOnConnect: true },
    accept,
  );
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      const code = systemCode(cause) ?? String(cause);
      const kind = code === 'EADDRINUSE' ? 'in-use' : 'failed-precondition';
      reject(new ProblemError(kind, `Listen for NVMe on "${host}:${port}": ${code}`, { cause }));
    });
    server.listen({ host, port, backlog }, resolve);
  });
  const bound = server.address();
  const boundPort = typeof bound === 'object' && bound !== null ? bound.port : port;
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
    });
  return { address: { host, port: boundPort }, close };
}

/** The address as a URI. */
export function formatNvmeUri({ host, port }: NvmeListenAddress): string {
  return `nvme+tcp://${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
}
