/** Ports for programs that cannot be told to take any free one. */
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';

/**
 * Ports of the loopback interface that the kernel says are free now. Another program may take one before it is
 * used: whoever starts a server on it must be ready to try again with others.
 */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  try {
    return await Promise.all(
      servers.map(async (server) => {
        server.listen(0, '127.0.0.1');
        await once(server, 'listening');
        return (server.address() as AddressInfo).port;
      }),
    );
  } finally {
    for (const server of servers) server.close();
  }
}
