import { beforeEach, describe, expect, test } from '@jest/globals';
import { silentLogger } from '@varve/common/logger';
import { ManualClock } from '@varve/common/testing/manual-clock';
import { failure, MemoryCluster } from '../testing/memory-cluster.ts';
import { LeaderElector, leaderElectionDefaults } from './leader-election.ts';
import type { Leadership } from './leader-election.ts';
import { leases } from './resource.ts';

const lease = { namespace: 'varve-system', name: 'varve-operator' };
const key = 'varve-system/varve-operator';

/** A candidate that writes down when it leads, by the clock of the test. */
class Candidate {
  leadership: Leadership | undefined;
  readonly #abort = new AbortController();

  constructor(identity: string, parts: { cluster: MemoryCluster; clock: ManualClock }) {
    const elector = new LeaderElector(
      { identity, lease, ...leaderElectionDefaults },
      { client: parts.cluster, clock: parts.clock, log: silentLogger(), random: () => 0.5 },
    );
    void elector.acquire(this.#abort.signal).then((leadership) => (this.leadership = leadership));
  }

  get leads(): boolean {
    return this.leadership !== undefined && !this.leadership.lost.aborted;
  }

  giveUp(): void {
    this.#abort.abort();
  }
}

let clock: ManualClock;
let cluster: MemoryCluster;
let parts: { cluster: MemoryCluster; clock: ManualClock };

function holder(): string | undefined {
  return cluster.peek(leases, key)?.spec?.holderIdentity;
}

beforeEach(() => {
  clock = new ManualClock();
  cluster = new MemoryCluster(clock);
  parts = { cluster, clock };
});

describe('LeaderElector', () => {
  test('takes a lease that nobody has, in the form that other clients read', async () => {
    const a = new Candidate('a', parts);
    await clock.advance(0);
    expect(a.leads).toBe(true);
    expect(cluster.peek(leases, key)?.spec).toEqual({
      holderIdentity: 'a',
      leaseDurationSeconds: 15,
      acquireTime: '2026-11-01T00:00:00.000000Z',
      renewTime: '2026-11-01T00:00:00.000000Z',
      leaseTransitions: 0,
    });
  });

  test('of two one leads for as long as it renews', async () => {
    const a = new Candidate('a', parts);
    const b = new Candidate('b', parts);
    await clock.advance(600_000);
    expect([a.leads, b.leads]).toEqual([true, false]);
    expect(cluster.peek(leases, key)?.spec).toMatchObject({
      holderIdentity: 'a',
      leaseTransitions: 0,
    });
    expect(cluster.peek(leases, key)?.spec?.renewTime).not.toBe('2026-11-01T00:00:00.000000Z');
  });

  test('takes over when the leader vanished, not before its time is up by our own clock', async () => {
    cluster.put(leases, {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: lease,
      // Its clock is years behind: that must not matter.
      spec: {
        holderIdentity: 'gone',
        leaseDurationSeconds: 15,
        renewTime: '2020-01-01T00:00:00.000000Z',
        leaseTransitions: 3,
      },
    });
    const b = new Candidate('b', parts);
    await clock.advance(15_000);
    expect(b.leads).toBe(false);
    await clock.advance(5000);
    expect(b.leads).toBe(true);
    expect(cluster.peek(leases, key)?.spec).toMatchObject({
      holderIdentity: 'b',
      leaseTransitions: 4,
    });
  });

  test('a leader that cannot renew stops before another may start', async () => {
    const a = new Candidate('a', parts);
    await clock.advance(4000);
    let isCutOff = true;
    cluster.onCall = () => {
      if (isCutOff) throw failure('unreachable');
    };
    await clock.advance(9000);
    expect(a.leads).toBe(true);
    await clock.advance(1100);
    expect(a.leads).toBe(false);
    isCutOff = false;
    const b = new Candidate('b', parts);
    await clock.advance(1000);
    expect(b.leads).toBe(false);
    await clock.advance(20_000);
    expect(b.leads).toBe(true);
    expect(a.leads).toBe(false);
  });

  test('a leader whose request hangs loses the leadership all the same', async () => {
    const a = new Candidate('a', parts);
    await clock.advance(0);
    cluster.get = async () => new Promise(() => undefined);
    await clock.advance(10_500);
    expect(a.leads).toBe(false);
  });

  test('counts from when a renewal was asked for, since others may count from then', async () => {
    const a = new Candidate('a', parts);
    await clock.advance(0);
    const replace = cluster.replace.bind(cluster);
    // Takes effect at once, at 2 s, and is answered at 8 s; after that nothing is answered any more.
    cluster.replace = async (...call) => {
      const answer = await replace(...call);
      await new Promise<void>((resolve) => clock.setTimer(resolve, 6000));
      cluster.get = async () => new Promise(() => undefined);
      return answer;
    };
    await clock.advance(11_900);
    expect(a.leads).toBe(true);
    await clock.advance(200);
    expect(a.leads).toBe(false);
  });

  test('survives failures that end before the deadline', async () => {
    const a = new Candidate('a', parts);
    await clock.advance(1000);
    let failures = 3;
    cluster.onCall = () => {
      if (failures-- > 0) throw failure('server-error');
    };
    await clock.advance(60_000);
    expect(a.leads).toBe(true);
  });

  test('gives the lease up at a clean end, so that the next need not wait', async () => {
    const a = new Candidate('a', parts);
    const b = new Candidate('b', parts);
    await clock.advance(10_000);
    const releasing = a.leadership!.release();
    await clock.advance(0);
    await releasing;
    expect(holder()).toBe('');
    await clock.advance(4000);
    expect(b.leads).toBe(true);
  });

  test('never takes back a lease that another has by now', async () => {
    const a = new Candidate('a', parts);
    await clock.advance(0);
    const held = cluster.peek(leases, key)!;
    cluster.put(leases, { ...held, spec: { ...held.spec, holderIdentity: 'thief' } });
    await clock.advance(3000);
    expect(a.leads).toBe(false);
    expect(holder()).toBe('thief');
  });

  test('of two that find no lease at once only one creates it', async () => {
    const candidates = ['a', 'b', 'c'].map((identity) => new Candidate(identity, parts));
    await clock.advance(0);
    expect(candidates.filter(({ leads }) => leads)).toHaveLength(1);
  });

  test('acquire() ends when it is told to', async () => {
    const a = new Candidate('a', parts);
    await clock.advance(0);
    const b = new Candidate('b', parts);
    await clock.advance(1000);
    b.giveUp();
    await clock.advance(100_000);
    expect(b.leads).toBe(false);
    expect(a.leads).toBe(true);
  });
});
