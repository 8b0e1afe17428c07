/** The program as a process of its own, so that tests can kill it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { DaemonClient } from '@varve/contract/client/daemon-client';

const program = fileURLToPath(new URL('../main.js', import.meta.url));

/** How a process ended. */
export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** One run of `varve-storaged`. */
export class DaemonProcess {
  readonly client: DaemonClient;
  /** Resolves when it has ended. */
  readonly ended: Promise<ProcessEnd>;
  readonly #child: ChildProcess;
  readonly #stateFolder: string;
  #output = '';

  constructor(stateFolder: string, flags: readonly string[] = []) {
    this.#stateFolder = stateFolder;
    this.client = new DaemonClient({ endpoint: `unix://${stateFolder}/daemon.sock` });
    const all = [program, '--state-folder', stateFolder, ...flags];
    this.#child = spawn(process.execPath, all, { stdio: ['ignore', 'pipe', 'pipe'] });
    const keep = (chunk: Buffer): void => void (this.#output += chunk.toString());
    this.#child.stdout?.on('data', keep);
    this.#child.stderr?.on('data', keep);
    this.ended = new Promise((resolve, reject) => {
      this.#child.on('error', reject);
      this.#child.on('close', (code, signal) => resolve({ code, signal }));
    });
  }

  /** Both streams so far. */
  get output(): string {
    return this.#output;
  }

  /** Where NBD clients connect, for an export. */
  exportUri(exportName: string): string {
    return `nbd+unix:///${exportName}?socket=${this.#stateFolder}/nbd.sock`;
  }

  /** Resolves when it serves; rejects with what it printed if it ends first. */
  async ready(): Promise<void> {
    let hasEnded = false;
    void this.ended.then(() => (hasEnded = true));
    for (;;) {
      if (hasEnded) throw new Error(`the daemon ended: ${this.#output}`);
      try {
        await this.client.getReadiness();
        return;
      } catch {
        // Not yet: each refused call waits a little by itself.
      }
    }
  }

  /** Sends a signal, and waits for the end. */
  async end(signal: NodeJS.Signals): Promise<ProcessEnd> {
    this.#child.kill(signal);
    const end = await this.ended;
    await this.client.destroy();
    return end;
  }
}
