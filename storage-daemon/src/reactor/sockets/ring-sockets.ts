/**
 * Sockets whose bytes move through the reactor's ring: one receive and one send at a time for each. Listening,
 * accepting and closing stay with Node, which knows how; it never reads or writes such a socket itself.
 *
 * The ring's operations hold the socket open, so it is closed only when none is left: to close at once, they are
 * canceled first.
 */
import type { Socket } from 'node:net';

import { assert } from '@varve/common/assert';

import { nbdLingerTimeoutMs } from '../../limits.ts';
import type { OutputBatch } from '../../nbd/output-batch.ts';
import type { IoRing } from '../../uring/io-ring.ts';
import { errno } from '../../uring/kernel-abi.ts';
import type { MessageHeader } from '../../uring/message-header.ts';
import type { OperationType } from '../../uring/ring.ts';
import { RingSocket } from '../../uring/ring-socket.ts';
import { cancelOperation, shutDownSocket } from '../../uring/ring-waits.ts';
import { endConnection, errorName } from '../../uring/system-calls.ts';
import { descriptorOf } from './socket-descriptor.ts';
import type { SocketOwner, StreamSocket } from './stream-socket.ts';

/** A receive that fills a space this large waits for all of it: the rest of a long payload. */
const receiveAllBytesMin = 32 * 1024;

/** Memory of a connection as the ring needs it. */
export interface RingSocketMemory {
  /** Where input is received that has no place of its own yet. */
  readonly input: Buffer;
  /** For messages of many pieces. */
  readonly header: MessageHeader;
  /** Where bytes lie for the kernel. */
  readonly addressOf: (bytes: Uint8Array) => number;
}

/** All sockets of one ring. */
export class RingSockets {
  readonly ioRing: IoRing;
  readonly receiveType: OperationType;
  readonly sendType: OperationType;
  readonly shutdownType: OperationType;
  readonly cancelType: OperationType;
  readonly #sockets: (RingStreamSocket | undefined)[] = [];
  readonly #freeSlots: number[] = [];
  #tasks: (() => void)[] = [];
  #isRunPlanned = false;
  readonly #runTasks = (): void => {
    this.#isRunPlanned = false;
    this.#run();
  };

  constructor(ioRing: IoRing) {
    const { ring, loop } = ioRing;
    this.ioRing = ioRing;
    this.receiveType = ring.addHandler((slot, result) => this.#sockets[slot]!.received(result));
    this.sendType = ring.addHandler((slot, result) => this.#sockets[slot]!.sent(result));
    this.shutdownType = ring.addHandler((slot, result) => this.#sockets[slot]!.shutDown(result));
    this.cancelType = ring.addHandler(() => undefined);
    loop.addRoundHook(() => this.#run());
  }

  /** Takes over a socket that Node has accepted and not read from. */
  adopt(socket: Socket, memory: RingSocketMemory): StreamSocket {
    const slot = this.#freeSlots.pop() ?? this.#sockets.length;
    const adopted = new RingStreamSocket({ socket, slot }, { sockets: this, memory });
    this.#sockets[slot] = adopted;
    return adopted;
  }

  /** Nothing of a socket is under way any more. */
  forget(slot: number): void {
    this.#sockets[slot] = undefined;
    this.#freeSlots.push(slot);
  }

  /**
   * The thread ends without having closed anything: the ring, which nobody reaps any more, would hold the connections
   * open for as long as the process lives, and their other ends would wait.
   */
  abandon(): void {
    for (const each of this.#sockets) each?.abandon();
  }

  /** At the end of the ring's round, or of Node's turn if that comes first. */
  afterTurn(task: () => void): void {
    this.#tasks.push(task);
    if (this.#isRunPlanned) return;
    this.#isRunPlanned = true;
    setImmediate(this.#runTasks);
  }

  #run(): void {
    const tasks = this.#tasks;
    if (tasks.length === 0) return;
    // Tasks may add further ones.
    for (let index = 0; index < tasks.length; index++) tasks[index]!();
    tasks.length = 0;
  }
}

/** One socket of a ring. */
class RingStreamSocket implements StreamSocket {
  readonly #socket: Socket;
  readonly #slot: number;
  readonly #sockets: RingSockets;
  readonly #memory: RingSocketMemory;
  readonly #ringSocket: RingSocket;
  readonly #resume = (): void => this.#receive();
  #owner!: SocketOwner;
  #isReading = true;
  #isReceiving = false;
  #isSending = false;
  #sendBytes = 0;
  #isShuttingDown = false;
  #isInputEnded = false;
  #isEnded = false;
  #isDestroyed = false;
  #lingerTimer: NodeJS.Timeout | undefined;

  constructor(
    { socket, slot }: { socket: Socket; slot: number },
    { sockets, memory }: { sockets: RingSockets; memory: RingSocketMemory },
  ) {
    this.#socket = socket;
    this.#slot = slot;
    this.#sockets = sockets;
    this.#memory = memory;
    this.#ringSocket = new RingSocket(sockets.ioRing.ring, descriptorOf(socket)!);
    socket.setNoDelay(true);
    socket.setKeepAlive(true);
  }

  start(owner: SocketOwner): void {
    this.#owner = owner;
    this.#socket.once('close', () => {
      clearTimeout(this.#lingerTimer);
      this.#sockets.forget(this.#slot);
      owner.socketClosed();
    });
    this.#sockets.afterTurn(this.#resume);
  }

  setReading(isReading: boolean): void {
    this.#isReading = isReading;
    // Not from within a call of the owner's.
    if (isReading && !this.#isReceiving) this.#sockets.afterTurn(this.#resume);
  }

  send(batch: OutputBatch): void {
    this.#isSending = true;
    this.#sendBytes = batch.lengthBytes;
    const { sendType } = this.#sockets;
    const { pieces, pieceCount } = batch;
    if (this.#isDestroyed) {
      this.#sockets.afterTurn(() => this.sent(-errno.canceled));
      return;
    }
    if (pieceCount === 1) {
      const { bytes, start, lengthBytes } = pieces[0]!;
      const address = this.#memory.addressOf(bytes) + start;
      this.#ringSocket.send(sendType, this.#slot, address, lengthBytes);
      return;
    }
    const { header } = this.#memory;
    header.clear();
    for (let index = 0; index < pieceCount; index++) {
      const { bytes, start, lengthBytes } = pieces[index]!;
      header.add(this.#memory.addressOf(bytes) + start, lengthBytes);
    }
    this.#ringSocket.sendMessage(sendType, this.#slot, header.address);
  }

  afterTurn(task: () => void): void {
    this.#sockets.afterTurn(task);
  }

  end(): void {
    if (this.#isDestroyed) return;
    this.#isEnded = true;
    const { ioRing, shutdownType } = this.#sockets;
    this.#isShuttingDown = true;
    shutDownSocket(ioRing.ring, { type: shutdownType, slot: this.#slot }, this.#ringSocket.fd);
    this.#isReading = true;
    this.#sockets.afterTurn(this.#resume);
    this.#lingerTimer = setTimeout(() => this.destroy(), nbdLingerTimeoutMs);
  }

  /** Only sockets of Node's own are handed over: a ring's belong to the reactor that has their volume. */
  detach(): undefined {
    assert(false, 'a socket of a ring stays with its reactor');
  }

  destroy(): void {
    if (this.#isDestroyed) return;
    this.#isDestroyed = true;
    const { receiveType, sendType } = this.#sockets;
    if (this.#isReceiving) this.#cancel(receiveType);
    if (this.#isSending) this.#cancel(sendType);
    this.#closeWhenIdle();
  }

  /** Ends the connection without any order. */
  abandon(): void {
    endConnection(this.#ringSocket.fd);
  }

  /** The client knows, or never will, that nothing more comes. */
  shutDown(result: number): void {
    this.#isShuttingDown = false;
    if (result < 0 || this.#isInputEnded) this.destroy();
    this.#closeWhenIdle();
  }

  /** A receive has completed. */
  received(result: number): void {
    this.#isReceiving = false;
    this.#owner.received(Math.max(0, result));
    if (result > 0) {
      this.#receive();
    } else if (result === 0) {
      this.#isInputEnded = true;
      // Whoever lingers waits for this.
      if (!this.#isEnded) this.#owner.inputEnded();
      else if (!this.#isShuttingDown) this.destroy();
    } else if (!this.#isDestroyed) this.#fail('recv', errorName(result));
    this.#closeWhenIdle();
  }

  /** A send has completed. */
  sent(result: number): void {
    this.#isSending = false;
    if (result !== this.#sendBytes && !this.#isDestroyed) {
      this.#fail('send', result < 0 ? errorName(result) : 'EPIPE');
    }
    this.#owner.sent();
    this.#closeWhenIdle();
  }

  #receive(): void {
    if (!this.#isReading || this.#isReceiving || this.#isInputEnded || this.#isDestroyed) return;
    this.#isReceiving = true;
    const { bytes, start, lengthBytes } = this.#owner.receiveSpace();
    const address = this.#memory.addressOf(bytes) + start;
    const { receiveType } = this.#sockets;
    // The place for input is larger than what comes; only payloads are known to come whole.
    const isPayload = bytes !== this.#memory.input && lengthBytes >= receiveAllBytesMin;
    if (isPayload) this.#ringSocket.receiveAll(receiveType, this.#slot, address, lengthBytes);
    else this.#ringSocket.receive(receiveType, this.#slot, address, lengthBytes);
  }

  #cancel(target: OperationType): void {
    const { ioRing, cancelType: type } = this.#sockets;
    const slot = this.#slot;
    cancelOperation(ioRing.ring, { type, slot }, { type: target, slot });
  }

  #fail(call: string, code: string): void {
    this.#owner.failed(Object.assign(new Error(`${call}: ${code}`), { code }));
    this.destroy();
  }

  #closeWhenIdle(): void {
    const isIdle = !this.#isReceiving && !this.#isSending && !this.#isShuttingDown;
    if (this.#isDestroyed && isIdle) this.#socket.destroy();
  }
}
