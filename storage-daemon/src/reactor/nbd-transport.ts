/** What moves the bytes of NBD connections: the reactor's ring, or Node's own sockets where there is none. */
import type { Socket } from 'node:net';

import type { IoRing } from '../uring/io-ring.ts';
import { type ConnectionMemory, createHeapMemory, type NbdMemory } from './nbd-memory.ts';
import { RingMemory } from './ring-memory.ts';
import { NetSocket } from './sockets/net-socket.ts';
import { RingSockets } from './sockets/ring-sockets.ts';
import { descriptorOf } from './sockets/socket-descriptor.ts';
import type { StreamSocket } from './sockets/stream-socket.ts';

/** A socket and the memory of its connection. */
export interface AdoptedSocket {
  readonly socket: StreamSocket;
  readonly ownMemory: ConnectionMemory;
}

/** Takes over sockets that were accepted and not read from. */
export interface NbdTransport {
  readonly memory: NbdMemory;
  adopt(socket: Socket): AdoptedSocket;
  /** Ends all connections that the end of this thread would not. */
  abandon(): void;
}

/** The fastest transport that there is. */
export function createTransport(ioRing: IoRing | undefined): NbdTransport {
  return ioRing ? createRingTransport(ioRing) : createNetTransport();
}

function createNetTransport(): NbdTransport {
  const memory = createHeapMemory();
  return {
    memory,
    adopt: (socket) => ({ socket: new NetSocket(socket), ownMemory: memory.acquire() }),
    abandon: () => undefined,
  };
}

function createRingTransport(ioRing: IoRing): NbdTransport {
  const memory = new RingMemory(ioRing);
  const sockets = new RingSockets(ioRing);
  return {
    memory,
    adopt: (socket) => {
      const ownMemory = memory.acquire();
      const isKnown = descriptorOf(socket) !== undefined;
      return {
        socket: isKnown ? sockets.adopt(socket, ownMemory) : new NetSocket(socket),
        ownMemory,
      };
    },
    abandon: () => sockets.abandon(),
  };
}
