/**
 * A process that a test starts, watches and ends. Its output goes straight into a file, so that nothing is lost
 * when it is killed, and it is ended by its own process id only.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { waitUntil } from './wait-until.ts';

/** Processes that are told to stop and do not are killed after this long. */
const stopTimeoutMs = 20_000;

/** What to run and where its output goes. */
export interface ManagedProcessOptions {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Appended to, so that one file tells the story of all restarts. */
  readonly logFile: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** How a process ended. */
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const runningProcesses = new Set<ManagedProcess>();

/** Kills every process that is still running: the last resort when the run itself is interrupted. */
export function killAllProcesses(): void {
  for (const process of runningProcesses) process.signal('SIGKILL');
}

/** A running child process with its log. */
export class ManagedProcess {
  readonly name: string;
  readonly logFile: string;
  readonly exited: Promise<ProcessExit>;
  /** Where in the log this process begins. */
  readonly #logStart: number;
  readonly #child: ChildProcess;
  #exit: ProcessExit | undefined;

  constructor(options: ManagedProcessOptions) {
    this.name = options.name;
    this.logFile = options.logFile;
    const logDescriptor = openSync(options.logFile, 'a');
    this.#child = spawn(options.command, options.args, {
      stdio: ['ignore', logDescriptor, logDescriptor],
      env: { ...process.env, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    this.#logStart = fstatSync(logDescriptor).size;
    closeSync(logDescriptor);
    runningProcesses.add(this);
    this.exited = new Promise((resolve, reject) => {
      this.#child.once('error', (error) => {
        runningProcesses.delete(this);
        reject(new Error(`Starting ${options.name} (${options.command}) failed`, { cause: error }));
      });
      this.#child.once('exit', (code, signal) => {
        runningProcesses.delete(this);
        this.#exit = { code, signal };
        resolve(this.#exit);
      });
    });
    // Whoever waits sees the failure; without a waiter it must not end the run as an unhandled rejection.
    this.exited.catch(() => undefined);
  }

  /** Undefined while it runs. */
  get exit(): ProcessExit | undefined {
    return this.#exit;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Sends a signal if it still runs. */
  signal(signal: NodeJS.Signals): void {
    if (this.#exit === undefined) this.#child.kill(signal);
  }

  /** Kills it as a crash would (SIGKILL) and resolves when it is gone. */
  async kill(): Promise<ProcessExit> {
    this.signal('SIGKILL');
    return this.exited;
  }

  /** Asks it to stop (SIGTERM), kills it when it does not, and tells how it ended. May be called twice. */
  async stop(): Promise<ProcessExit> {
    this.signal('SIGTERM');
    const timeUp = new AbortController();
    const killLater = sleep(stopTimeoutMs, undefined, { signal: timeUp.signal }).then(
      () => this.signal('SIGKILL'),
      () => undefined,
    );
    try {
      return await this.exited;
    } finally {
      timeUp.abort();
      await killLater;
    }
  }

  /** Whether it, and not an earlier process with the same log, has logged a text. */
  hasLogged(text: string): boolean {
    return readFileSync(this.logFile).includes(text, this.#logStart);
  }

  /** The last lines of its log, with the file's name. */
  logTail(linesMax = 30): string {
    return logTail(this.name, this.logFile, linesMax);
  }

  /** Waits until `probe` answers; fails at once, with the log's tail, when the process ends meanwhile. */
  async waitUntil<Found>(
    what: string,
    probe: () => Promise<Found | undefined>,
    timeoutMs: number,
  ): Promise<Found> {
    const found = await waitUntil<{ value: Found } | 'exited'>(
      what,
      async () => {
        if (this.#exit !== undefined) return 'exited';
        const value = await probe();
        return value === undefined ? undefined : { value };
      },
      { timeoutMs, explain: () => this.logTail() },
    );
    if (found === 'exited') {
      throw new Error(
        `Waiting for ${what} failed: ${this.name} ended with ${JSON.stringify(this.#exit)}\n${this.logTail()}`,
      );
    }
    return found.value;
  }
}

/** The last lines of a log file, headed by whose log it is; empty when there is none. */
export function logTail(name: string, logFile: string, linesMax = 30): string {
  let text: string;
  try {
    text = readFileSync(logFile, 'utf8');
  } catch {
    return '';
  }
  const lines = text.trimEnd().split('\n').slice(-linesMax);
  return [`--- last lines of ${name} (${logFile})`, ...lines].join('\n');
}
