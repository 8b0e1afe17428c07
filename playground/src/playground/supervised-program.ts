/**
 * One of the playground's programs (storage daemon, operator) as a child process with a log file: started again, with
 * growing pauses, when it ends by itself, as an init system would.
 *
 * It has a process group of its own, so that Ctrl-C in a terminal reaches the playground alone, which ends its
 * programs in their order.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

/** A program that ran for this long has recovered: its next failure is again a first one. */
const stableMs = 10_000;
const restartDelayMinMs = 200;
const restartDelayMaxMs = 10_000;
/**
 * A program that does not end by SIGTERM in this time is killed: the daemon's checkpoint takes well below a second.
 */
const stopTimeoutMs = 15_000;

/** A program and its arguments. */
export interface ProgramOptions {
  readonly name: string;
  /** The compiled main module. */
  readonly main: string;
  readonly args: readonly string[];
  readonly logFile: string;
  /** Is told when the program ended by itself, and is about to be started again. */
  readonly onUnexpectedEnd: (how: string) => void;
}

/** A program that is kept running until `stop()`. */
export class SupervisedProgram {
  readonly #options: ProgramOptions;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #restart: NodeJS.Timeout | undefined;
  #failures = 0;
  #startedMs = 0;
  #isStopping = false;

  constructor(options: ProgramOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  /** The process, undefined while none runs. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  start(): void {
    const log = openSync(this.#options.logFile, 'a', 0o600);
    const preload = new URL('./end-with-parent.js', import.meta.url).href;
    const child = spawn(
      process.execPath,
      ['--import', preload, '--enable-source-maps', this.#options.main, ...this.#options.args],
      { stdio: ['ignore', log, log, 'pipe'], detached: true },
    );
    closeSync(log);
    this.#startedMs = Date.now();
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      child.once('error', (error) => this.#settle(error.message, resolve));
      child.once('exit', (code, signal) => this.#settle(signal ?? `code ${code}`, resolve));
    });
  }

  /** Ends it as a crash would; it is started again. */
  kill(): void {
    this.#child?.kill('SIGKILL');
  }

  /** Asks it to end, and waits until it has. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#restart);
    this.#child?.kill('SIGTERM');
    const kill = setTimeout(() => this.#child?.kill('SIGKILL'), stopTimeoutMs);
    await this.#ended;
    clearTimeout(kill);
  }

  #settle(how: string, resolve: () => void): void {
    this.#child = undefined;
    resolve();
    if (this.#isStopping) return;
    this.#options.onUnexpectedEnd(how);
    if (Date.now() - this.#startedMs > stableMs) this.#failures = 0;
    const delayMs = Math.min(restartDelayMinMs * 2 ** this.#failures, restartDelayMaxMs);
    this.#failures++;
    this.#restart = setTimeout(() => this.start(), delayMs);
  }
}
