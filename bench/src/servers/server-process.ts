/** A server that a row starts: pinned to the servers' core, its last output kept, ended by its own process id. */
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Servers run on the first core and loads on the second, so that neither takes time from the other whatever the
 * scheduler thinks. On one core both share it.
 */
export const serverCore = 0;
/** See `serverCore`. */
export const loadCore = 1;

/** A server that has not answered after this long never will. */
const readyTimeoutMs = 60_000;
/** Servers that are told to stop and do not are killed after this long. */
const stopTimeoutMs = 20_000;
/** Between two looks at a server that starts: what starts are measured with. */
const probeIntervalMs = 5;
/** Kept of what a server prints: the reason why it ended is at the end. */
const outputCharactersMax = 8192;

const runningServers = new Set<ServerProcess>();

/** Kills all servers that still run: the last resort when the run itself is interrupted. */
export function killAllServers(): void {
  for (const server of runningServers) server.signal('SIGKILL');
}

/** The command line that pins a program to a core. */
export function pinned(core: number, command: readonly string[]): readonly string[] {
  return ['taskset', '--cpu-list', `${core}`, ...command];
}

/** A running server. */
export class ServerProcess {
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #name: string;
  #output = '';
  #hasExited = false;

  constructor(
    command: readonly string[],
    printCommand: (commandLine: string) => void,
    /** Gets what the server prints, in pieces. */
    onOutput?: (text: string) => void,
  ) {
    const line = pinned(serverCore, command);
    printCommand(line.join(' '));
    this.#name = command[0]!;
    this.#child = spawn(line[0]!, line.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
    runningServers.add(this);
    const keep = (chunk: Buffer): void => {
      const text = chunk.toString();
      this.#output = (this.#output + text).slice(-outputCharactersMax);
      onOutput?.(text);
    };
    this.#child.stdout?.on('data', keep);
    this.#child.stderr?.on('data', keep);
    this.#exited = new Promise((resolve) => {
      const end = (): void => {
        this.#hasExited = true;
        runningServers.delete(this);
        resolve();
      };
      this.#child.once('exit', end);
      this.#child.once('error', (error) => {
        this.#output += error.message;
        end();
      });
    });
  }

  /** Its process id: `taskset` has become the server. */
  get pid(): number {
    return this.#child.pid!;
  }

  /** Asks until `probe` answers true; fails with what the server printed if it ends or time is up. */
  async untilReady(probe: () => Promise<boolean>): Promise<void> {
    const deadlineMs = performance.now() + readyTimeoutMs;
    while (!(await probe())) {
      if (this.#hasExited || performance.now() > deadlineMs) {
        throw new Error(`Starting ${this.#name} failed: ${this.#output}`);
      }
      await sleep(probeIntervalMs);
    }
  }

  /** Sends a signal if it still runs. */
  signal(name: NodeJS.Signals): void {
    if (!this.#hasExited) this.#child.kill(name);
  }

  /** Kills it, and waits until it is gone. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.#exited;
  }

  /** Asks it to stop, kills it if it does not, and waits until it is gone. */
  async stop(): Promise<void> {
    this.signal('SIGTERM');
    const timer = setTimeout(() => this.signal('SIGKILL'), stopTimeoutMs);
    await this.#exited;
    clearTimeout(timer);
  }
}
