/**
 * Numbers events, logs them, and hands them to all who listen. A listener is called at once and must not
 * wait.
 */
import type { Clock } from '@varve/common/clock';
import type { Logger } from '@varve/common/logger';
import type { Event } from '@varve/contract/event';

import type { EventRecord } from '../reactor/messages.ts';

/** Gets every event from its subscription on. */
export type EventListener = (event: Event) => void;

/** Where all events of the daemon go through. */
export class EventHub {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #listeners = new Set<EventListener>();
  #lastSequence = 0;

  constructor({ clock, logger }: { readonly clock: Clock; readonly logger: Logger }) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** The number of the last event. */
  get lastSequence(): number {
    return this.#lastSequence;
  }

  /** Listeners now. */
  get listenerCount(): number {
    return this.#listeners.size;
  }

  publish(record: EventRecord): void {
    const at = new Date(this.#clock.nowMs()).toISOString();
    const event: Event = { sequence: ++this.#lastSequence, at, ...record };
    const level = record.type === 'space-progress' ? 'debug' : 'info';
    this.#logger[level]({ event: record.type, object: record.object }, record.message);
    for (const listener of this.#listeners) listener(event);
  }

  /** @returns how to end the subscription. */
  subscribe(listener: EventListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
