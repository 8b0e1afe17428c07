/**
 * Leader election on a Lease, compatible with client-go. Whether a lease is held is judged by the local time
 * at which its record was last seen to CHANGE: the holder's clock is never compared with ours. A leader that
 * could not renew for `renewDeadlineMs` is none any more and must stop all work at once; others wait for
 * `leaseDurationMs`, so there is a gap in which nobody leads, and never two leaders, as far as clocks run at
 * the same speed. A process that was paused may still act for a moment: what it writes is guarded by
 * resourceVersions and names that derive from UIDs.
 */
import type { Clock } from '@varve/common/clock';
import { waitFor } from '@varve/common/clock';
import type { Logger } from '@varve/common/logger';
import { assert } from '@varve/common/assert';
import { isAlreadyExists, isConflict, isNotFound } from './api-errors.ts';
import type { Lease } from './core-kinds.ts';
import type { KubeClient } from './kube-client.ts';
import type { ObjectName } from './kubernetes-object.ts';
import { leases } from './resource.ts';

/** Who we are, which Lease, and the times; see {@link leaderElectionDefaults}. */
export interface LeaderElectionOptions {
  readonly identity: string;
  readonly lease: ObjectName & { readonly namespace: string };
  readonly leaseDurationMs: number;
  readonly renewDeadlineMs: number;
  readonly retryPeriodMs: number;
}

/** As Kubernetes' own controllers. */
export const leaderElectionDefaults = {
  leaseDurationMs: 15_000,
  renewDeadlineMs: 10_000,
  retryPeriodMs: 2000,
} as const;

/** Others than the leader come back after one to this many retry periods, so that they do not race. */
const jitterMax = 2.2;

/** A term of office. */
export interface Leadership {
  /** Aborted when the lease could not be renewed in time: stop everything at once. */
  readonly lost: AbortSignal;
  /** Gives the lease up, after the work has ended, so that the next one need not wait. Never rejects. */
  release(): Promise<void>;
}

/** See the file's head. */
export class LeaderElector {
  readonly #options: LeaderElectionOptions;
  readonly #client: KubeClient;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #random: () => number;
  #observed: { readonly lease: Lease; readonly atMs: number } | undefined;

  constructor(
    options: LeaderElectionOptions,
    dependencies: {
      readonly client: KubeClient;
      readonly clock: Clock;
      readonly log: Logger;
      readonly random?: () => number;
    },
  ) {
    const { leaseDurationMs, renewDeadlineMs, retryPeriodMs } = options;
    assert(leaseDurationMs > renewDeadlineMs, 'the lease outlasts the renewal deadline');
    assert(renewDeadlineMs > 1.2 * retryPeriodMs, 'the deadline leaves time for a second attempt');
    this.#options = options;
    this.#client = dependencies.client;
    this.#clock = dependencies.clock;
    this.#log = dependencies.log;
    this.#random = dependencies.random ?? Math.random;
  }

  /** Waits until we lead; undefined when `signal` is aborted before. Never rejects. */
  async acquire(signal: AbortSignal): Promise<Leadership | undefined> {
    let lastHolder: string | undefined;
    while (!signal.aborted) {
      if (await this.#tryAcquire()) {
        this.#log.info({ identity: this.#options.identity }, 'became the leader');
        return this.#lead();
      }
      const holder = this.#observed?.lease.spec?.holderIdentity;
      if (holder !== undefined && holder !== lastHolder) {
        this.#log.info({ holder }, 'waiting: another instance leads');
        lastHolder = holder;
      }
      const spread = 1 + (jitterMax - 1) * this.#random();
      await waitFor(this.#clock, this.#options.retryPeriodMs * spread, signal);
    }
    return undefined;
  }

  #lead(): Leadership {
    const lost = new AbortController();
    const released = new AbortController();
    const renewing = this.#renew(lost, AbortSignal.any([lost.signal, released.signal]));
    return {
      lost: lost.signal,
      release: async () => {
        released.abort();
        await renewing;
        if (!lost.signal.aborted) await this.#release();
      },
    };
  }

  async #renew(lost: AbortController, signal: AbortSignal): Promise<void> {
    const { retryPeriodMs, renewDeadlineMs } = this.#options;
    let renewedMs = this.#clock.monotonicMs();
    // The deadline counts also while a request hangs.
    const watchdog = (): void => {
      const leftMs = renewedMs + renewDeadlineMs - this.#clock.monotonicMs();
      if (leftMs > 0) timer = this.#clock.setTimer(watchdog, leftMs);
      else lost.abort(new Error('The lease could not be renewed in time'));
    };
    let timer = this.#clock.setTimer(watchdog, renewDeadlineMs);
    while (!signal.aborted) {
      await waitFor(this.#clock, retryPeriodMs, signal);
      if (signal.aborted) break;
      const startedMs = this.#clock.monotonicMs();
      if (await this.#tryAcquire()) renewedMs = startedMs;
      else if (this.#isHeldByAnother()) lost.abort(new Error('Another instance took the lease'));
    }
    timer.cancel();
  }

  /** One attempt to take or renew the lease; false when it is another's, or when the call failed. */
  async #tryAcquire(): Promise<boolean> {
    try {
      return await this.#attempt();
    } catch (error) {
      if (isConflict(error) || isAlreadyExists(error)) return false;
      this.#log.warn({ err: error }, 'asking for the lease failed; will be retried');
      return false;
    }
  }

  async #attempt(): Promise<boolean> {
    const { lease: name, identity } = this.#options;
    let current: Lease;
    try {
      current = await this.#client.get(leases, name);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      this.#observe(await this.#create());
      return true;
    }
    this.#observe(current);
    if (current.spec?.holderIdentity !== identity && !this.#isFree(current)) return false;
    const now = microTime(this.#clock.nowMs());
    const isOurs = current.spec?.holderIdentity === identity;
    const updated = await this.#client.replace(leases, {
      ...current,
      spec: {
        ...current.spec,
        holderIdentity: identity,
        leaseDurationSeconds: this.#options.leaseDurationMs / 1000,
        acquireTime: isOurs ? (current.spec?.acquireTime ?? now) : now,
        renewTime: now,
        leaseTransitions: (current.spec?.leaseTransitions ?? 0) + (isOurs ? 0 : 1),
      },
    });
    this.#observe(updated);
    return true;
  }

  async #create(): Promise<Lease> {
    const { lease: name, identity, leaseDurationMs } = this.#options;
    const now = microTime(this.#clock.nowMs());
    return this.#client.create(leases, {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { ...name },
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: leaseDurationMs / 1000,
        acquireTime: now,
        renewTime: now,
        leaseTransitions: 0,
      },
    });
  }

  async #release(): Promise<void> {
    const held = this.#observed?.lease;
    if (held === undefined || this.#isHeldByAnother()) return;
    const now = microTime(this.#clock.nowMs());
    const spec = { ...held.spec, holderIdentity: '', leaseDurationSeconds: 1 };
    try {
      await this.#client.replace(leases, {
        ...held,
        spec: { ...spec, acquireTime: now, renewTime: now },
      });
    } catch (error) {
      // It runs out by itself.
      this.#log.debug({ err: error }, 'giving up the lease failed');
    }
  }

  /** Remembers when the record changed last, by our own clock. */
  #observe(lease: Lease): void {
    const before = this.#observed?.lease.metadata.resourceVersion;
    if (before === lease.metadata.resourceVersion) return;
    this.#observed = { lease, atMs: this.#clock.monotonicMs() };
  }

  #isFree(lease: Lease): boolean {
    const holder = lease.spec?.holderIdentity ?? '';
    if (holder === '') return true;
    const durationMs = (lease.spec?.leaseDurationSeconds ?? 0) * 1000;
    const observedAtMs = this.#observed?.atMs ?? this.#clock.monotonicMs();
    return this.#clock.monotonicMs() > observedAtMs + durationMs;
  }

  #isHeldByAnother(): boolean {
    const holder = this.#observed?.lease.spec?.holderIdentity ?? '';
    return holder !== '' && holder !== this.#options.identity;
  }
}

/** metav1.MicroTime: RFC 3339 with six decimals. */
function microTime(timeMs: number): string {
  return new Date(timeMs).toISOString().replace('Z', '000Z');
}
