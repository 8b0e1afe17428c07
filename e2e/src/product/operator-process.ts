/** A `varve-operator` process under the identity that the cluster made for it. */
import { join } from 'node:path';
import { ManagedProcess, type ProcessExit } from '../process/managed-process.ts';
import { programs } from './programs.ts';

const startTimeoutMs = 60_000;

/** Which kubeconfig it uses and where its log goes. */
export interface OperatorProcessOptions {
  readonly kubeconfig: string;
  readonly directory: string;
}

/** One operator; may be killed and started again. */
export class OperatorProcess {
  readonly #options: OperatorProcessOptions;
  #process: ManagedProcess | undefined;

  constructor(options: OperatorProcessOptions) {
    this.#options = options;
  }

  /** Starts the process and returns at once: what it does is seen in the cluster. */
  start(): void {
    this.#process = new ManagedProcess({
      name: 'varve-operator',
      command: process.execPath,
      args: ['--enable-source-maps', programs.operator],
      logFile: join(this.#options.directory, 'varve-operator.log'),
      env: { KUBECONFIG: this.#options.kubeconfig },
    });
  }

  /** Ends it as a crash would. */
  async kill(): Promise<void> {
    await this.#process?.kill();
  }

  /** Waits until it is connected: from then on it lists objects and works. */
  async waitStarted(): Promise<void> {
    await this.#waitLogged('started');
  }

  /** Asks it to stop. */
  async stop(): Promise<ProcessExit> {
    if (this.#process === undefined) throw new Error('Stopping the operator failed: not started');
    // Earlier than that, a signal ends it as it ends any program, and no exit code could be expected.
    await this.#waitLogged('working');
    return this.#process.stop();
  }

  /** Waits for something that it is to bring about; fails at once when it ends meanwhile. */
  async waitUntil<Found>(what: string, probe: () => Promise<Found | undefined>): Promise<Found> {
    if (this.#process === undefined) throw new Error(`Waiting for ${what} failed: not started`);
    return this.#process.waitUntil(what, probe, startTimeoutMs);
  }

  logTail(): string {
    return this.#process?.logTail() ?? '';
  }

  async #waitLogged(message: string): Promise<void> {
    await this.waitUntil(`the operator to say "${message}"`, async () =>
      Promise.resolve(this.#process?.hasLogged(`"msg":"${message}"`) === true ? true : undefined),
    );
  }
}
