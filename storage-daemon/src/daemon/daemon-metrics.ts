/**
 * Metrics in the Prometheus text format; seconds and bytes as base units. Numbers that live elsewhere
 * (pools, store, exports) are read from there at each scrape, so nothing here can go stale.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

import type { Pool } from '@varve/contract/pool';

import type { ReactorCounters, IoEngineName } from '../reactor/messages.ts';
import type { StoreCounters } from '../store/store-api.ts';
import { latencyBucketSeconds } from '../volume/statistics.ts';
import { NvmeMetrics } from './nvme-metrics.ts';

/** What a scrape shows. */
export interface MetricsSnapshot {
  readonly pools: readonly Pool[];
  readonly counters: ReactorCounters;
  readonly pendingCalls: number;
  readonly eventStreams: number;
}

const storeMetrics: Readonly<Record<keyof StoreCounters, readonly [name: string, help: string]>> = {
  journalBlocksWritten: ['journal_blocks_written', 'Journal blocks written'],
  journalRecords: ['journal_records', 'Records written to the journal'],
  checkpoints: ['checkpoints', 'Checkpoints completed'],
  metadataPagesWritten: ['metadata_pages_written', 'Metadata pages written by checkpoints'],
  deviceFlushes: ['device_flushes', 'Flushes sent to devices'],
  dataBlocksWritten: ['data_blocks_written', 'Data blocks of 4 KiB written'],
  dataBlocksRead: ['data_blocks_read', 'Data blocks of 4 KiB read'],
  healedClusters: ['healed_clusters', 'Split clusters of 64 KiB that were made whole again'],
  harvestedBlocks: ['harvested_blocks', 'Blocks of slack that were given up in a full pool'],
  groupsTaken: ['groups_taken', 'Allocation groups that cells took from the pool'],
  groupsReturned: ['groups_returned', 'Allocation groups that cells gave back to the pool'],
  groupRequests: [
    'group_requests',
    'Times that a cell asked the others for groups, because none was left',
  ],
  backgroundFailures: ['background_failures', 'Steps of freeing that failed and are tried again'],
  deallocatedBytes: ['deallocated_bytes', 'Bytes of freed blocks that devices were told of'],
  deallocateFailures: ['deallocate_failures', 'Deallocations that devices refused'],
  mapHits: ['map_hits', 'Operations that found all map pages that they needed in memory'],
  mapMisses: ['map_misses', 'Map pages read from the devices'],
  mapEvictions: ['map_evictions', 'Map pages that made room for others'],
};

/** Metrics of one daemon, in a registry of its own. */
export class DaemonMetrics {
  readonly #registry = new Registry();
  readonly #httpSeconds: Histogram<'method' | 'route' | 'status'>;
  readonly #httpAuthenticationFailures: Counter;
  readonly #httpPermissionDenials: Counter;
  readonly #reactorWaitSeconds: Histogram;
  readonly #poolBytes: Gauge<'pool' | 'state'>;
  readonly #mapBytes: Gauge<'pool' | 'state'>;
  readonly #poolCondition: Gauge<'pool' | 'condition'>;
  readonly #objects: Gauge<'pool' | 'kind'>;
  readonly #ioEngine: Gauge<'engine'>;
  readonly #pendingCalls: Gauge;
  readonly #eventStreams: Gauge;
  readonly #connections: Gauge;
  readonly #hostGrants: Gauge;
  readonly #nvme: NvmeMetrics;
  readonly #hostAuthenticationFailures: Counter;
  readonly #cpuSeconds: Counter<'mode' | 'reactor'>;
  readonly #reactorUp: Gauge<'reactor'>;
  readonly #reactorConnections: Gauge<'reactor'>;
  readonly #store = new Map<keyof StoreCounters, Counter<'pool'>>();
  readonly #exportRequests: Counter<'kind' | 'operation' | 'result'>;
  readonly #exportBytes: Counter<'kind' | 'operation'>;
  readonly #throttledRequests: Counter;
  readonly #throttledSeconds: Counter;

  constructor(version: string) {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    const gauge = <Label extends string>(name: string, help: string, labelNames: Label[] = []) =>
      new Gauge({ name: `varve_${name}`, help, labelNames, registers });
    const counter = <Label extends string>(name: string, help: string, labelNames: Label[] = []) =>
      new Counter({ name: `varve_${name}_total`, help, labelNames, registers });
    gauge('build_info', 'Version of this daemon', ['version']).set({ version }, 1);
    this.#httpSeconds = new Histogram({
      name: 'varve_http_request_seconds',
      help: 'Time from a request to its answer',
      labelNames: ['method', 'route', 'status'],
      buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30],
      registers,
    });
    this.#httpAuthenticationFailures = counter(
      'http_authentication_failures',
      'Requests without credentials that count',
    );
    this.#httpPermissionDenials = counter(
      'http_permission_denials',
      "Requests that the caller's role does not allow",
    );
    this.#reactorWaitSeconds = new Histogram({
      name: 'varve_reactor_answer_seconds',
      help: 'Time that the reactor takes to answer a call that needs no work',
      buckets: latencyBucketSeconds.filter((_, index) => index % 2 === 0),
      registers,
    });
    this.#poolBytes = gauge('pool_bytes', 'Bytes of a pool by state', ['pool', 'state']);
    this.#mapBytes = gauge(
      'map_memory_bytes',
      'Memory of maps: what they may use and what they use',
      ['pool', 'state'],
    );
    this.#poolCondition = gauge('pool_condition', '1 if the condition holds', [
      'pool',
      'condition',
    ]);
    this.#objects = gauge('objects', 'Volumes and snapshots', ['pool', 'kind']);
    this.#ioEngine = gauge('io_engine', 'Reactors that do their I/O so', ['engine']);
    this.#pendingCalls = gauge('reactor_pending_calls', 'Calls that the reactor has not answered');
    this.#eventStreams = gauge('event_streams', 'Open event streams');
    this.#connections = gauge(
      'export_connections',
      'Open connections of NBD clients and NVMe/TCP hosts',
    );
    this.#hostAuthenticationFailures = counter(
      'host_authentication_failures',
      'NVMe/TCP connections whose host did not prove itself',
    );
    this.#nvme = new NvmeMetrics(this.#registry);
    this.#hostGrants = gauge('host_grants', 'Hosts that may attach a volume, over all volumes');
    this.#cpuSeconds = counter('reactor_cpu_seconds', 'Processor time of a reactor', [
      'mode',
      'reactor',
    ]);
    this.#reactorUp = gauge('reactor_up', '0 if a reactor has ended by itself', ['reactor']);
    this.#reactorConnections = gauge('reactor_connections', 'Open connections of a reactor', [
      'reactor',
    ]);
    for (const [key, [name, help]] of Object.entries(storeMetrics)) {
      this.#store.set(key as keyof StoreCounters, counter(`store_${name}`, help, ['pool']));
    }
    const requestLabels: ('kind' | 'operation' | 'result')[] = ['kind', 'operation', 'result'];
    this.#exportRequests = counter('export_requests', 'Requests of clients', requestLabels);
    this.#exportBytes = counter('export_bytes', 'Bytes of clients', ['kind', 'operation']);
    this.#throttledRequests = counter('throttled_requests', 'Requests that limits held back');
    this.#throttledSeconds = counter('throttled_seconds', 'Time that limits held requests back');
  }

  /** Content type of a scrape. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** One answered request. `route` is the pattern, never the path: paths have no bound. */
  observeRequest(
    labels: { readonly method: string; readonly route: string; readonly status: number },
    seconds: number,
  ): void {
    this.#httpSeconds.observe({ ...labels, status: String(labels.status) }, seconds);
    if (labels.status === 401) this.#httpAuthenticationFailures.inc();
    if (labels.status === 403) this.#httpPermissionDenials.inc();
  }

  /** One answer of the reactor to a call that needs no work. */
  observeReactorAnswer(seconds: number): void {
    this.#reactorWaitSeconds.observe(seconds);
  }

  /** How each reactor does its I/O. */
  setIoEngines(engines: readonly IoEngineName[]): void {
    this.#ioEngine.reset();
    for (const engine of engines) this.#ioEngine.inc({ engine });
  }

  /** The text of a scrape. */
  async scrape({ pools, counters, pendingCalls, eventStreams }: MetricsSnapshot): Promise<string> {
    this.#setPools(pools);
    this.#pendingCalls.set(pendingCalls);
    this.#eventStreams.set(eventStreams);
    this.#connections.set(counters.connections);
    this.#hostGrants.set(counters.hostGrants);
    setCounter(this.#hostAuthenticationFailures, {}, counters.hostAuthenticationFailures);
    this.#nvme.set(counters.nvme);
    this.#setReactors(counters);
    for (const counter of this.#store.values()) counter.reset();
    for (const { pool, store } of counters.pools) {
      for (const [key, counter] of this.#store) setCounter(counter, { pool }, store[key]);
    }
    this.#setExports(counters);
    setCounter(this.#throttledRequests, {}, counters.throttle.count);
    setCounter(this.#throttledSeconds, {}, counters.throttle.seconds);
    return this.#registry.metrics();
  }

  #setPools(pools: readonly Pool[]): void {
    this.#poolBytes.reset();
    this.#mapBytes.reset();
    this.#poolCondition.reset();
    this.#objects.reset();
    for (const pool of pools) {
      const labels = { pool: pool.id };
      const states = {
        size: pool.sizeBytes,
        allocated: pool.allocatedBytes,
        free: pool.freeBytes,
        referenced: pool.referencedBytes,
        metadata: pool.metadataBytes,
        slack: pool.slackBytes ?? 0,
        reserved: pool.reservedBytes,
        pending_free: pool.pendingFreeBytes,
        provisioned: pool.provisionedBytes,
      };
      for (const [state, bytes] of Object.entries(states)) {
        this.#poolBytes.set({ ...labels, state }, bytes);
      }
      if (pool.mapMemory) {
        this.#mapBytes.set({ ...labels, state: 'budget' }, pool.mapMemory.budgetBytes);
        this.#mapBytes.set({ ...labels, state: 'resident' }, pool.mapMemory.residentBytes);
      }
      for (const { type, status } of pool.conditions) {
        this.#poolCondition.set({ ...labels, condition: type }, status === 'True' ? 1 : 0);
      }
      this.#objects.set({ ...labels, kind: 'volume' }, pool.volumes);
      this.#objects.set({ ...labels, kind: 'snapshot' }, pool.snapshots);
    }
  }

  #setReactors(counters: ReactorCounters): void {
    const all = counters.reactors ?? [{ ...counters, reactor: 0, isRunning: true }];
    for (const { reactor, isRunning, connections, cpuSeconds } of all) {
      this.#reactorUp.set({ reactor }, isRunning ? 1 : 0);
      this.#reactorConnections.set({ reactor }, connections);
      for (const mode of ['user', 'system'] as const) {
        setCounter(this.#cpuSeconds, { mode, reactor }, cpuSeconds[mode]);
      }
    }
  }

  #setExports({ io }: ReactorCounters): void {
    for (const [kind, operations] of Object.entries(io)) {
      for (const [operation, { count, errorCount, bytes }] of Object.entries(operations)) {
        const labels = { kind, operation };
        setCounter(this.#exportRequests, { ...labels, result: 'ok' }, count - errorCount);
        setCounter(this.#exportRequests, { ...labels, result: 'error' }, errorCount);
        setCounter(this.#exportBytes, labels, bytes);
      }
    }
  }
}

/** Sets a counter to the value of the counter that it mirrors. */
function setCounter<Label extends string>(
  counter: Counter<Label>,
  labels: Partial<Record<Label, string | number>>,
  value: number,
): void {
  counter.remove(labels);
  counter.inc(labels, value);
}
