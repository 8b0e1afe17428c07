/** QEMU's monitor protocol (QMP): one JSON object a line, over a unix socket. */
import { connect, type Socket } from 'node:net';
import { createInterface, type Interface } from 'node:readline';

import { z } from 'zod';

const messageSchema = z.object({
  QMP: z.unknown().optional(),
  return: z.unknown().optional(),
  error: z.object({ desc: z.string() }).optional(),
});

/** A connection to a monitor. One command at a time. */
export class QmpClient {
  readonly #socket: Socket;
  readonly #interface: Interface;
  readonly #lines: AsyncIterator<string>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#interface = createInterface({ input: socket });
    this.#lines = this.#interface[Symbol.asyncIterator]();
  }

  /** Connects and negotiates. */
  static async connect(path: string): Promise<QmpClient> {
    const socket = connect(path);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    const client = new QmpClient(socket);
    await client.execute('qmp_capabilities', {});
    return client;
  }

  /** Runs a command to its end. */
  async execute(command: string, parameters: object): Promise<void> {
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: parameters })}\n`);
    for (;;) {
      const { done, value } = await this.#lines.next();
      if (done === true) throw new Error(`Running ${command} failed: the monitor is gone`);
      const message = messageSchema.parse(JSON.parse(value));
      if (message.error) throw new Error(`Running ${command} failed: ${message.error.desc}`);
      // Greetings and events come in between.
      if (message.return !== undefined) return;
    }
  }

  close(): void {
    this.#interface.close();
    this.#socket.destroy();
  }
}
