/** The program that loads the store without a socket, and the lines that it is spoken to with. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { closeSync, ftruncateSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';

import type { GroupContext } from '../harness/row.ts';
import { loadCore, pinned } from '../servers/server-process.ts';
import type { FioLoad } from './fio.ts';

const program = fileURLToPath(new URL('./store-load-main.js', import.meta.url));
/** The pool's own share comes on top of the data. */
const poolBytesPerDataByte = 3;

/** A process that holds a pool with one filled volume. */
export class StoreLoad {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #lines: AsyncIterator<string>;
  readonly #interface: Interface;
  #errors = '';

  private constructor(command: readonly string[]) {
    this.#child = spawn(command[0]!, command.slice(1), { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child.stderr.on('data', (bytes: Buffer) => (this.#errors += bytes.toString()));
    this.#interface = createInterface({ input: this.#child.stdout });
    this.#lines = this.#interface[Symbol.asyncIterator]();
  }

  /** Starts it; resolves when the volume is filled. */
  static async start({ directory, dataBytes, printCommand }: GroupContext): Promise<StoreLoad> {
    const poolFile = join(directory, 'store.img');
    const fd = openSync(poolFile, 'w', 0o600);
    ftruncateSync(fd, poolBytesPerDataByte * dataBytes);
    closeSync(fd);
    const command = pinned(loadCore, [process.execPath, program, poolFile, `${dataBytes}`]);
    printCommand(command.join(' '));
    const load = new StoreLoad(command);
    await load.#nextLine();
    return load;
  }

  /** Runs a load for a time; answers requests per second. */
  async run({ rw, blockBytes, queueDepth }: FioLoad, seconds: number): Promise<number> {
    this.#child.stdin.write(`${rw} ${blockBytes} ${queueDepth} ${seconds * 1000}\n`);
    return Number(await this.#nextLine());
  }

  /** Ends it. */
  async close(): Promise<void> {
    const exited = new Promise((resolve) => this.#child.once('exit', resolve));
    if (this.#child.exitCode === null) {
      this.#child.kill('SIGKILL');
      await exited;
    }
    this.#interface.close();
  }

  async #nextLine(): Promise<string> {
    const { done, value } = await this.#lines.next();
    if (done === true) throw new Error(`Loading the store failed: ${this.#errors}`);
    return value;
  }
}
