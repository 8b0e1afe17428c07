import { describe, expect, test } from '@jest/globals';
import type { Info } from '@varve/contract/info';
import type { Pool } from '@varve/contract/pool';
import { ProblemError } from '@varve/contract/problem';
import type { StorageDaemon } from '../../kube/storage-daemon-kind.ts';
import { decide } from './decide.ts';
import type { Decision } from './decide.ts';
import type { Findings } from './world.ts';

const gibibyte = 1024 ** 3;
const nowMs = Date.UTC(2026, 10, 24, 12, 0, 0);

const info: Info = {
  daemonId: '11111111-1111-4111-8111-111111111111',
  name: 'node-1',
  version: '0.1.0',
  apiVersions: ['v1'],
  features: [],
  startedAt: '2026-11-24T11:00:00.000Z',
  reactors: [],
  exports: [{ protocol: 'nbd', uri: 'nbd+unix:///?socket=/run/varve/nbd.sock' }],
};

function pool(overrides: Partial<Pool> = {}): Pool {
  return {
    id: 'fast',
    uuid: '22222222-2222-4222-8222-222222222222',
    labels: {},
    devices: [],
    conditions: [{ type: 'Open', status: 'True', reason: 'Open', message: 'open' }],
    cells: 2,
    sizeBytes: 64 * gibibyte,
    allocatedBytes: gibibyte,
    freeBytes: 63 * gibibyte,
    referencedBytes: gibibyte,
    metadataBytes: 0,
    reservedBytes: 0,
    pendingFreeBytes: 0,
    provisionedBytes: gibibyte,
    volumes: 1,
    snapshots: 0,
    ...overrides,
  };
}

function daemon(overrides: Partial<StorageDaemon> = {}): StorageDaemon {
  return {
    apiVersion: 'varve.dev/v1alpha1',
    kind: 'StorageDaemon',
    metadata: { name: 'sd', uid: 'u', resourceVersion: '1', generation: 3 },
    spec: { endpoint: 'unix:///run/varve/daemon.sock' },
    ...overrides,
  };
}

function judged(decision: Decision): Record<string, string> {
  const { conditions } = decision.status as {
    conditions: { type: string; status: string; reason: string; message: string }[];
  };
  return Object.fromEntries(
    conditions.map(({ type, status, reason, message }) => [
      type,
      `${status} ${reason}: ${message}`,
    ]),
  );
}

/** The daemon as it is after a decision was written. */
function after(before: StorageDaemon, decision: Decision): StorageDaemon {
  const { status: held } = before;
  return { ...before, status: { ...held, ...decision.status } };
}

const working: Findings = { info, pools: [pool()] };

describe('decide(): conditions', () => {
  test.each<[string, Findings, string]>([
    ['a daemon that works', working, 'True Serving: pool fast has 63 GiB free of 64 GiB'],
    [
      'no answer',
      { failure: new ProblemError('unavailable', 'cannot be reached (ECONNREFUSED)') },
      'False Unreachable: cannot be reached (ECONNREFUSED)',
    ],
    [
      'an answer that takes too long',
      { failure: new ProblemError('deadline-exceeded', 'no answer in time') },
      'False Unreachable: no answer in time',
    ],
    [
      'a token that the daemon refuses',
      { failure: new ProblemError('unauthenticated', 'wrong token') },
      'False CredentialsRefused: wrong token',
    ],
    [
      'a Secret that does not exist',
      {
        failure: new ProblemError('unauthenticated', 'no Secret', {
          field: 'spec.credentials.secretRef',
        }),
      },
      'False CredentialsMissing: no Secret',
    ],
    [
      'an endpoint that nobody can use',
      { failure: new ProblemError('invalid-argument', 'plain http is for loopback only') },
      'False InvalidEndpoint: plain http is for loopback only',
    ],
    [
      'a daemon that is starting',
      { info, pools: [], notReady: new ProblemError('unavailable', 'the daemon is starting') },
      'False NotReady: the daemon is starting',
    ],
    [
      'a daemon without a pool',
      { info, pools: [] },
      'False NoPool: The daemon has no pool; format one with PUT /v1/pools/<name>',
    ],
    [
      'a daemon whose only pool is not open',
      {
        info,
        pools: [
          pool({
            conditions: [
              {
                type: 'Open',
                status: 'False',
                reason: 'DeviceMissing',
                message: 'no /dev/nvme0n1',
              },
            ],
          }),
        ],
      },
      'False PoolsNotOpen: pool fast: no /dev/nvme0n1',
    ],
  ])('%s', (_what, findings, ready) => {
    const decision = decide({ daemon: daemon(), findings }, nowMs);
    expect(judged(decision)['Ready']).toBe(ready);
    const isReady = ready.startsWith('True');
    expect(judged(decision)['Schedulable']).toMatch(isReady ? /^True Open/ : /^False NotReady/);
  });

  test('one of two pools not open: ready, and the message says which is not', () => {
    const closed = pool({
      id: 'slow',
      conditions: [{ type: 'Open', status: 'False', reason: 'X', message: 'no disk' }],
    });
    const decision = decide(
      { daemon: daemon(), findings: { info, pools: [pool(), closed] } },
      nowMs,
    );
    expect(judged(decision)['Ready']).toBe(
      'True Serving: pool fast has 63 GiB free of 64 GiB; pool slow: no disk',
    );
  });

  test('another daemon than before answers: nobody is let through, and its pools do not count', () => {
    const known = after(daemon(), decide({ daemon: daemon(), findings: working }, nowMs));
    const other = { ...info, daemonId: '99999999-9999-4999-8999-999999999999' };
    const decision = decide({ daemon: known, findings: { info: other, pools: [pool()] } }, nowMs);
    expect(judged(decision)['Ready']).toMatch(
      /^False IdentityChanged: .*answers daemon 9999.*volumes are on daemon 1111/,
    );
  });

  test('a cordoned daemon is ready, and not schedulable', () => {
    const cordoned = daemon({ spec: { endpoint: 'unix:///x', cordoned: true } });
    const decision = decide({ daemon: cordoned, findings: working }, nowMs);
    expect(judged(decision)['Ready']).toMatch(/^True/);
    expect(judged(decision)['Schedulable']).toMatch(/^False Cordoned/);
    expect(decision.events.map(({ reason }) => reason)).toEqual(['DaemonReady', 'Cordoned']);
  });
});

describe('decide(): status', () => {
  const first = decide({ daemon: daemon(), findings: working }, nowMs);
  const settled = after(daemon(), first);

  test('holds identity, version, exports, pools and their sums', () => {
    expect(first.status).toMatchObject({
      observedGeneration: 3,
      daemonId: info.daemonId,
      version: '0.1.0',
      exports: ['nbd+unix:///?socket=/run/varve/nbd.sock'],
      size: '64Gi',
      free: '63Gi',
      lastContactTime: '2026-11-24T12:00:00Z',
      pools: [{ name: 'fast', ready: true, freeBytes: 63 * gibibyte, volumes: 1 }],
    });
  });

  test.each<[string, number, string, number]>([
    ['with room', 10 * gibibyte, '9Gi', 9 * gibibyte],
    ['full but for its reserve', gibibyte, '0', 0],
    ['that uses its reserve', gibibyte / 2, '0', 0],
  ])('does not count the reserve of a pool %s as free', (_, freeBytes, free, usableBytes) => {
    const findings = { info, pools: [pool({ freeBytes, reservedBytes: gibibyte })] };
    expect(decide({ daemon: settled, findings }, nowMs + 60_000).status).toMatchObject({
      free,
      pools: [{ freeBytes: usableBytes }],
    });
  });

  test('does not change when nothing changed', () => {
    const again = decide({ daemon: settled, findings: working }, nowMs + 10_000);
    expect(after(settled, again)).toEqual(settled);
    expect(again.events).toEqual([]);
  });

  test('keeps small movements of the figures back for a minute', () => {
    const moved = { info, pools: [pool({ freeBytes: 63 * gibibyte - 4096, volumes: 2 })] };
    const soon = decide({ daemon: settled, findings: moved }, nowMs + 10_000);
    expect(after(settled, soon)).toEqual(settled);
    const later = decide({ daemon: settled, findings: moved }, nowMs + 60_000);
    expect(later.status).toMatchObject({
      pools: [{ volumes: 2 }],
      lastContactTime: '2026-11-24T12:01:00Z',
    });
  });

  test('shows at once when a hundredth of a pool is gone, or a pool', () => {
    const full = { info, pools: [pool({ freeBytes: 60 * gibibyte })] };
    expect(decide({ daemon: settled, findings: full }, nowMs + 10_000).status).toMatchObject({
      free: '60Gi',
    });
    const none = { info, pools: [] };
    expect(decide({ daemon: settled, findings: none }, nowMs + 10_000).status).toMatchObject({
      pools: [],
    });
  });

  test('writes the time of the contact alone every five minutes', () => {
    const at = (ms: number): object =>
      decide({ daemon: settled, findings: working }, nowMs + ms).status;
    expect(at(59_000)).not.toHaveProperty('lastContactTime');
    expect(at(299_000)).not.toHaveProperty('lastContactTime');
    expect(at(300_000)).toHaveProperty('lastContactTime', '2026-11-24T12:05:00Z');
  });

  test('keeps what was known while the daemon does not answer', () => {
    const failure = new ProblemError('unavailable', 'gone');
    const decision = decide({ daemon: settled, findings: { failure } }, nowMs + 10_000);
    expect(after(settled, decision).status).toMatchObject({
      version: '0.1.0',
      size: '64Gi',
      lastContactTime: '2026-11-24T12:00:00Z',
    });
    expect(decision.events).toEqual([
      { type: 'warning', reason: 'DaemonUnreachable', message: 'gone' },
    ]);
  });
});

describe('decide(): when to ask again', () => {
  test('a daemon that works: every 10 s', () => {
    expect(decide({ daemon: daemon(), findings: working }, nowMs).delayMs).toBe(10_000);
  });

  test('a daemon that does not: soon at first, then after growing pauses', () => {
    const failure = new ProblemError('unavailable', 'gone');
    const world = { daemon: daemon(), findings: { failure } };
    const first = decide(world, nowMs);
    expect(first.delayMs).toBe(500);
    const down = after(daemon(), first);
    const delayAfter = (ms: number): number =>
      decide({ daemon: down, findings: { failure } }, nowMs + ms).delayMs;
    expect(delayAfter(4000)).toBe(1000);
    expect(delayAfter(20_000)).toBe(5000);
    expect(delayAfter(3_600_000)).toBe(15_000);
  });
});
