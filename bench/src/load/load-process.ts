/** A load program of our own, on the loads' core: it says a line when it is ready, and answers each line with one. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

import { loadCore, pinned } from '../servers/server-process.ts';

/** A running load program. */
export class LoadProcess {
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

  /** Starts it; resolves when it is ready. */
  static async start(
    command: readonly string[],
    printCommand: (commandLine: string) => void,
  ): Promise<LoadProcess> {
    const line = pinned(loadCore, command);
    printCommand(line.join(' '));
    const load = new LoadProcess(line);
    try {
      await load.#nextLine();
    } catch (error) {
      await load.close();
      throw error;
    }
    return load;
  }

  /** Has it do what a line says; answers the figure. */
  async run(line: string): Promise<number> {
    this.#child.stdin.write(`${line}\n`);
    return Number(await this.#nextLine());
  }

  /** Ends it. */
  async close(): Promise<void> {
    const exited = new Promise((resolve) => this.#child.once('exit', resolve));
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGKILL');
      await exited;
    }
    this.#interface.close();
  }

  async #nextLine(): Promise<string> {
    const { done, value } = await this.#lines.next();
    if (done === true) throw new Error(`Running a load failed: ${this.#errors}`);
    return value;
  }
}
