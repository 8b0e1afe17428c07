/** Watches VolumeSnapshots with `kubectl get --watch` and takes the time at which each appeared and became ready. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Kubectl } from './kubectl.ts';

/** When a snapshot was first seen and when it was ready, on the clock of `performance.now()`. */
export interface SnapshotTimes {
  readonly seenMs: number;
  readyMs: number | undefined;
}

/** A running watch. */
export class SnapshotWatch {
  readonly times = new Map<string, SnapshotTimes>();
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;

  constructor(kubectl: Kubectl) {
    const columns = 'NAME:.metadata.name,READY:.status.readyToUse';
    const line = kubectl.commandLine(
      ['get', 'volumesnapshots', '--watch', '--no-headers', '-o'].concat(
        `custom-columns=${columns}`,
      ),
    );
    this.#child = spawn(line.command, line.args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#ended = new Promise((resolve) => this.#child.once('close', () => resolve()));
    const lines = createInterface({ input: this.#child.stdout! });
    lines.on('line', (text) => this.#observe(text, performance.now()));
  }

  /** Names of those that are ready. */
  get readyCount(): number {
    return [...this.times.values()].filter((times) => times.readyMs !== undefined).length;
  }

  /** Milliseconds from appearance to readiness, ascending. */
  latenciesMs(): readonly number[] {
    return [...this.times.values()]
      .flatMap(({ seenMs, readyMs }) => (readyMs === undefined ? [] : [readyMs - seenMs]))
      .toSorted((left, right) => left - right);
  }

  async stop(): Promise<void> {
    this.#child.kill();
    await this.#ended;
  }

  #observe(text: string, nowMs: number): void {
    const [name, ready] = text.trim().split(/\s+/);
    if (name === undefined || name === '') return;
    const times = this.times.get(name) ?? { seenMs: nowMs, readyMs: undefined };
    this.times.set(name, times);
    if (ready === 'true') times.readyMs ??= nowMs;
  }
}
