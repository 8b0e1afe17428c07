/** Watches VolumeSnapshots through kubectl and takes the time at which each appeared and became ready. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Kubectl } from './kubectl.ts';

/** Longer than any measurement. */
const watchSeconds = 3600;

/** When a snapshot was first seen and when it was ready, on the clock of `performance.now()`. */
export interface SnapshotTimes {
  readonly seenMs: number;
  readyMs: number | undefined;
}

interface WatchEvent {
  readonly type: string;
  readonly object: {
    readonly metadata: { readonly name: string };
    readonly status?: { readonly readyToUse?: boolean };
  };
}

/** A running watch. */
export class SnapshotWatch {
  readonly times = new Map<string, SnapshotTimes>();
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;

  constructor(kubectl: Kubectl) {
    const path =
      `/apis/snapshot.storage.k8s.io/v1/namespaces/${kubectl.namespace}/volumesnapshots` +
      `?watch=1&timeoutSeconds=${watchSeconds}`;
    const line = kubectl.commandLine(['get', '--raw', path]);
    this.#child = spawn(line.command, line.args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#ended = new Promise((resolve) => this.#child.once('close', () => resolve()));
    const lines = createInterface({ input: this.#child.stdout! });
    lines.on('line', (text) => this.#observe(text, performance.now()));
  }

  /** How many are ready. */
  get readyCount(): number {
    return [...this.times.values()].filter((times) => times.readyMs !== undefined).length;
  }

  /** Whether it still watches. */
  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
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
    const { type, object } = JSON.parse(text) as WatchEvent;
    if (type !== 'ADDED' && type !== 'MODIFIED') return;
    const times = this.times.get(object.metadata.name) ?? { seenMs: nowMs, readyMs: undefined };
    this.times.set(object.metadata.name, times);
    if (object.status?.readyToUse === true) times.readyMs ??= nowMs;
  }
}
