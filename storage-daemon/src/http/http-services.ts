/**
 * What the handlers of the REST API work with. Everything about data goes through the channel to the reactor.
 */
import type { KeyedLock } from '@varve/common/keyed-lock';
import type { Logger } from '@varve/common/logger';
import type { Info } from '@varve/contract/info';

import type { DaemonMetrics } from '../daemon/daemon-metrics.ts';
import type { EventHub } from '../daemon/event-hub.ts';
import type { KnownPools } from '../daemon/known-pools.ts';
import type { ReactorCalls } from '../reactor/channel.ts';
import type { ReactorCounters } from '../reactor/messages.ts';

/** Shared by all listeners. */
export interface HttpServices {
  readonly channel: ReactorCalls;
  readonly pools: KnownPools;
  readonly events: EventHub;
  readonly metrics: DaemonMetrics;
  /** Which calls on objects may run at the same time, over all listeners. */
  readonly locks: KeyedLock;
  readonly logger: Logger;
  readonly readInfo: () => Info;
  /** Numbers of all reactors. */
  readonly readCounters: () => Promise<ReactorCounters>;
  /** Reactors that have failed, each as a sentence. */
  readonly readFailures: () => readonly string[];
  /** Aborted when the daemon begins to stop. */
  readonly stopping: AbortSignal;
}
