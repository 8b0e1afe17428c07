/**
 * Stands between the operator and everything outside it: counts the calls that change something or look at one
 * object, and makes a chosen one fail. A crash is a fault after which nothing that the operator does has any effect:
 * just as if the process had been killed at that call.
 */

/** How a call fails. */
export type FaultKind =
  /** It is answered with an error and has no effect. */
  | 'refuse'
  /** The connection breaks before it has an effect. */
  | 'drop'
  /** It is answered as if somebody else were changing the same object, and has no effect. */
  | 'conflict'
  /** It takes effect, and the connection breaks before the answer. */
  | 'lose-answer';

/** Which call fails, and how. */
export interface Fault {
  /** Counted from 1. */
  readonly callNumber: number;
  readonly kind: FaultKind;
  readonly isCrash: boolean;
}

/** What happens to a call; undefined: it passes, `hold`: nobody ever answers it. */
export type Verdict = FaultKind | 'hold' | undefined;

/** Events tell people, and change nothing that the operator looks at; the status of a daemon follows the clock. */
const uncounted = /\/events(\/|$)|\/storagedaemons\/|\/customresourcedefinitions/;

/** Reads of one object, on which decisions rest. Lists and watches come and go by the clock. */
const readOfOne = new RegExp(
  String.raw`^/(api|apis/[^/]+)/v\w+(/namespaces/[^/]+)?/(?!namespaces/)[^/?]+/[^/?]+` +
    String.raw`|^/v1/(volumes|snapshots)/[^/?]`,
);

/** See the file's head. */
export class CallGate {
  /** Calls that changed something, or were to, in order. */
  readonly calls: string[] = [];
  #callCount = 0;
  #fault: Fault | undefined;
  #refused: RegExp | undefined;
  #held: RegExp | undefined;
  #isDead = false;
  #crashed = Promise.withResolvers<void>();

  /** Resolves when the call at which the operator crashes was made. */
  get crashed(): Promise<void> {
    return this.#crashed.promise;
  }

  /** Whether the fault has happened. */
  get isFaultSpent(): boolean {
    return this.#fault === undefined;
  }

  /** Begins to count anew, with a fault or without. */
  arm(fault?: Fault): void {
    this.calls.length = 0;
    this.#callCount = 0;
    this.#fault = fault;
    this.#isDead = false;
    this.#crashed = Promise.withResolvers<void>();
  }

  /** Refuses all calls of a form (`DELETE /v1/snapshots/`) until `disarm`. */
  refuse(calls: RegExp): void {
    this.#refused = calls;
  }

  /** Leaves all calls of a form to a daemon without an answer until `disarm`. */
  hold(calls: RegExp): void {
    this.#held = calls;
  }

  /** Lets everything pass from now on; what was counted stays. */
  disarm(): void {
    this.#fault = undefined;
    this.#refused = undefined;
    this.#held = undefined;
    this.#isDead = false;
  }

  /** Judges a call. */
  judge(method: string, path: string): Verdict {
    if (uncounted.test(path)) return undefined;
    if (this.#isDead) return 'drop';
    if (this.#refused?.test(`${method} ${path}`) === true) return 'refuse';
    if (this.#held?.test(`${method} ${path}`) === true) return 'hold';
    if (method === 'GET' && !readOfOne.test(path)) return undefined;
    this.#callCount += 1;
    if (method !== 'GET') this.calls.push(`${method} ${path}`);
    if (this.#fault?.callNumber !== this.#callCount) return undefined;
    const { kind, isCrash } = this.#fault;
    this.#fault = undefined;
    if (isCrash) {
      this.#isDead = true;
      this.#crashed.resolve();
    }
    return kind;
  }
}
