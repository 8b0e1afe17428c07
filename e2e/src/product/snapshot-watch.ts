/**
 * Watches VolumeSnapshots through kubectl and takes the time at which each appeared and became ready. A server may end
 * a watch at any time (its definitions changed, its client was slow), so one that ended is begun again: what it
 * missed comes first.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Kubectl } from './kubectl.ts';

/** Longer than any measurement. */
const watchSeconds = 3600;
const restartDelayMs = 200;
/** A server that ends every watch is broken: the test then fails by what it waits for. */
const restartsMax = 100;

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
  readonly #kubectl: Kubectl;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #restart: NodeJS.Timeout | undefined;
  #restartCount = 0;
  #isStopping = false;

  constructor(kubectl: Kubectl) {
    this.#kubectl = kubectl;
    this.#start();
  }

  /** How many are ready. */
  get readyCount(): number {
    return [...this.times.values()].filter((times) => times.readyMs !== undefined).length;
  }

  /** How often it was begun again. */
  get restartCount(): number {
    return this.#restartCount;
  }

  /** Milliseconds from appearance to readiness, ascending. */
  latenciesMs(): readonly number[] {
    return [...this.times.values()]
      .flatMap(({ seenMs, readyMs }) => (readyMs === undefined ? [] : [readyMs - seenMs]))
      .toSorted((left, right) => left - right);
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#restart);
    this.#child?.kill();
    await this.#ended;
  }

  #start(): void {
    const path =
      `/apis/snapshot.storage.k8s.io/v1/namespaces/${this.#kubectl.namespace}/volumesnapshots` +
      `?watch=1&timeoutSeconds=${watchSeconds}`;
    const line = this.#kubectl.commandLine(['get', '--raw', path]);
    const child = spawn(line.command, line.args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      child.once('close', () => {
        resolve();
        if (!this.#isStopping) this.#startAgain();
      });
    });
    const lines = createInterface({ input: child.stdout });
    lines.on('line', (text) => this.#observe(text, performance.now()));
  }

  #startAgain(): void {
    if (this.#restartCount === restartsMax) return;
    this.#restartCount++;
    this.#restart = setTimeout(() => this.#start(), restartDelayMs);
  }

  #observe(text: string, nowMs: number): void {
    const { type, object } = parseEvent(text);
    if (type !== 'ADDED' && type !== 'MODIFIED') return;
    const times = this.times.get(object.metadata.name) ?? { seenMs: nowMs, readyMs: undefined };
    this.times.set(object.metadata.name, times);
    if (object.status?.readyToUse === true) times.readyMs ??= nowMs;
  }
}

/** A watch may end in the middle of a line, which comes again whole in the next one. */
function parseEvent(text: string): WatchEvent {
  try {
    return JSON.parse(text) as WatchEvent;
  } catch {
    return { type: 'CUT', object: { metadata: { name: '' } } };
  }
}
