/**
 * The host's side of `guest/agent`: scripts go in, exit codes and output come out, over a unix socket that QEMU
 * connects to the guest's virtio port. It works without any network in the guest.
 *
 * A request is a line "<id> <base64 script>", an answer a line "<id> <exit code> <base64 output>"; before the
 * first, the guest sends "ready".
 */
import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import type { CommandResult } from '../process/run-command.ts';

/** A line longer than this is not an answer but a mistake: 64 MiB of output. */
const answerBytesMax = 96 * 2 ** 20;

/** What became of a script: `stdout` has both outputs, as they came. */
export type GuestResult = CommandResult;

interface Waiting {
  readonly resolve: (result: GuestResult) => void;
  readonly reject: (error: Error) => void;
}

/** The guest died or the connection broke while a script ran. */
export class GuestGoneError extends Error {
  readonly kind = 'guest-gone';
}

/** One guest's agent. */
export class GuestAgent {
  readonly #server: Server;
  readonly #waiting = new Map<string, Waiting>();
  #socket: Socket | undefined;
  #nextId = 1;
  #isReady = false;
  #parts: Buffer[] = [];
  #partBytes = 0;

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket) => this.#accept(socket));
  }

  /** Listens where QEMU will connect. */
  static async listen(socketPath: string): Promise<GuestAgent> {
    rmSync(socketPath, { force: true });
    const server = createServer();
    const agent = new GuestAgent(server);
    server.listen(socketPath);
    await once(server, 'listening');
    return agent;
  }

  /** Whether the guest has started its side. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** Runs a bash script and gives back how it ended, whatever the exit code. */
  async run(script: string): Promise<GuestResult> {
    const socket = this.#socket;
    if (socket === undefined) throw new GuestGoneError('Running a script failed: no guest');
    const id = String(this.#nextId++);
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      socket.write(`${id} ${Buffer.from(script).toString('base64')}\n`);
    });
  }

  /** Ends all waits. May be called twice. */
  close(): void {
    this.#server.close();
    this.#socket?.destroy();
    this.#lose();
  }

  #accept(socket: Socket): void {
    this.#socket = socket;
    socket.on('data', (bytes: Buffer) => this.#receive(bytes));
    socket.on('error', () => undefined);
    socket.on('close', () => this.#lose());
  }

  #lose(): void {
    this.#socket = undefined;
    this.#isReady = false;
    for (const { reject } of this.#waiting.values()) {
      reject(new GuestGoneError('The guest ended while a script ran in it'));
    }
    this.#waiting.clear();
  }

  #receive(bytes: Buffer): void {
    let rest = bytes;
    for (;;) {
      const end = rest.indexOf('\n');
      if (end < 0) break;
      this.#parts.push(rest.subarray(0, end));
      this.#answer(Buffer.concat(this.#parts).toString('latin1'));
      this.#parts = [];
      this.#partBytes = 0;
      rest = rest.subarray(end + 1);
    }
    this.#parts.push(rest);
    this.#partBytes += rest.length;
    if (this.#partBytes > answerBytesMax) this.#socket?.destroy();
  }

  #answer(line: string): void {
    if (line === 'ready') {
      this.#isReady = true;
      return;
    }
    const [id = '', code = '', output = ''] = line.split(' ');
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    const stdout = Buffer.from(output, 'base64').toString('utf8');
    waiting?.resolve({ code: Number(code), stdout, stderr: '' });
  }
}
