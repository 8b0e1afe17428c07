/**
 * Asynchronous events (NVMe Base 2.0, section 5.2): requests of the host that wait, and events that wait for one.
 *
 * An event is sent only if the host has enabled it, and then not again until the host has read its log page: later
 * events of its kind are told by what that page says. Reading the page lets the next one through.
 */

/** Events, as DW0 tells them: type, information << 8, log page << 16; and the bit that enables each. */
export const AsyncEvent = {
  NAMESPACE_CHANGED: { result: 0x0004_0002, enableBit: 0x0000_0100 },
  DISCOVERY_CHANGED: { result: 0x0070_f002, enableBit: 0x8000_0000 },
} as const;

/** A kind of event. */
export type AsyncEventKind = (typeof AsyncEvent)[keyof typeof AsyncEvent];

/** The events of one controller. */
export class AsyncEvents<Request> {
  readonly #complete: (request: Request, result: number) => void;
  #enabledBits = 0;
  #requests: Request[] = [];
  /** Enabled events that no request was there for. */
  readonly #waiting = new Set<AsyncEventKind>();
  /** Sent, and its log page not read since. */
  readonly #masked = new Set<AsyncEventKind>();

  /** @param complete Completes a waiting request of the host. */
  constructor(complete: (request: Request, result: number) => void) {
    this.#complete = complete;
  }

  /** Feature 0B, as the host set it. */
  get enabledBits(): number {
    return this.#enabledBits;
  }

  set enabledBits(bits: number) {
    this.#enabledBits = bits;
  }

  /** Requests that wait. */
  get requestCount(): number {
    return this.#requests.length;
  }

  /** The host asks to be told of the next event. */
  addRequest(request: Request): void {
    this.#requests.push(request);
    this.#deliver();
  }

  /** Something happened. */
  raise(kind: AsyncEventKind): void {
    const isEnabled = (this.#enabledBits & kind.enableBit) !== 0;
    if (!isEnabled || this.#masked.has(kind)) return;
    this.#waiting.add(kind);
    this.#deliver();
  }

  /** The host has read the log page of an event, and not asked to retain it. */
  logRead(kind: AsyncEventKind): void {
    this.#masked.delete(kind);
    this.#waiting.delete(kind);
  }

  /** Forgets all; returns the requests that waited. */
  reset(): readonly Request[] {
    const requests = this.#requests;
    this.#requests = [];
    this.#waiting.clear();
    this.#masked.clear();
    this.#enabledBits = 0;
    return requests;
  }

  #deliver(): void {
    for (const kind of this.#waiting) {
      const request = this.#requests.shift();
      if (request === undefined) return;
      this.#waiting.delete(kind);
      this.#masked.add(kind);
      this.#complete(request, kind.result);
    }
  }
}
