import type { Clock } from '@varve/common/clock';
import {
  DaemonClient,
  type CallInput,
  type CallOptions,
  type DaemonClientOptions,
  type ReplyOf,
} from '@varve/contract/client/daemon-client';
import { isProblemError } from '@varve/contract/problem';
import type { RouteName } from '@varve/contract/routes';
import type { CallLimiter } from './call-limiter.ts';
import type { DaemonMetrics } from './daemon-metrics.ts';

/** Calls by which the operator finds out how the daemon is: they must not wait behind those that hang. */
const probes: ReadonlySet<RouteName> = new Set(['getInfo', 'getReadiness', 'listPools']);

/** What the client works with besides the daemon's address. */
export interface ObservedDaemonDependencies {
  readonly daemon: string;
  readonly limiter: CallLimiter;
  readonly metrics: DaemonMetrics;
  readonly clock: Clock;
}

/** A client whose calls are measured, and limited in number. */
export class ObservedDaemonClient extends DaemonClient {
  readonly #dependencies: ObservedDaemonDependencies;

  constructor(options: DaemonClientOptions, dependencies: ObservedDaemonDependencies) {
    super(options);
    this.#dependencies = dependencies;
  }

  override async call<Name extends RouteName>(
    name: Name,
    input: CallInput<Name> = {},
    options: CallOptions = {},
  ): Promise<ReplyOf<Name>> {
    const send = async (): Promise<ReplyOf<Name>> =>
      this.#measure(name, async () => super.call(name, input, options));
    return probes.has(name) ? send() : this.#dependencies.limiter.run(send);
  }

  async #measure<T>(name: RouteName, send: () => Promise<T>): Promise<T> {
    const { daemon, clock, metrics } = this.#dependencies;
    const startedMs = clock.monotonicMs();
    const end = (result: string): void => {
      metrics.called({ daemon, call: name, result }, (clock.monotonicMs() - startedMs) / 1000);
    };
    try {
      const reply = await send();
      end('ok');
      return reply;
    } catch (error) {
      end(isProblemError(error) ? error.kind : 'aborted');
      throw error;
    }
  }
}
