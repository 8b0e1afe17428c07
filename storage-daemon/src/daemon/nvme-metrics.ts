/** Metrics of NVMe/TCP. */
import { Counter, Gauge, type Registry } from 'prom-client';

import type { NvmeCounters } from '../nvmf/nvme-counters.ts';

/** Counters without labels: name and help. */
const counters = {
  dataRequests: ['nvme_data_requests', 'Requests for data of writes (R2T)'],
  heldCommands: ['nvme_held_commands', 'Commands that waited for memory or for replies to leave'],
  protocolErrors: ['nvme_protocol_errors', 'Connections that ended by a broken protocol'],
  keepAliveTimeouts: ['nvme_keep_alive_timeouts', 'Controllers that ended by a silent host'],
  slowHosts: ['nvme_slow_hosts', 'Connections that ended by a host that took too long'],
} as const;

/** The part of the page that tells of NVMe/TCP. */
export class NvmeMetrics {
  readonly #controllers: Gauge<'kind'>;
  readonly #connections: Gauge;
  readonly #commands: Counter<'queue'>;
  readonly #answers: Counter<'status'>;
  readonly #digestErrors: Counter<'part'>;
  readonly #counters = new Map<keyof typeof counters, Counter>();

  constructor(registry: Registry) {
    const registers = [registry];
    this.#controllers = new Gauge({
      name: 'varve_nvme_controllers',
      help: 'NVMe/TCP controllers, of volumes and of discovery',
      labelNames: ['kind'],
      registers,
    });
    this.#connections = new Gauge({
      name: 'varve_nvme_connections',
      help: 'Open connections of NVMe/TCP hosts: one for each queue',
      registers,
    });
    this.#commands = new Counter({
      name: 'varve_nvme_commands_total',
      help: 'NVMe commands by kind of queue',
      labelNames: ['queue'],
      registers,
    });
    this.#answers = new Counter({
      name: 'varve_nvme_answers_total',
      help: 'NVMe commands that were answered, by status',
      labelNames: ['status'],
      registers,
    });
    this.#digestErrors = new Counter({
      name: 'varve_nvme_digest_errors_total',
      help: 'NVMe/TCP digests that did not fit',
      labelNames: ['part'],
      registers,
    });
    for (const [key, [name, help]] of Object.entries(counters)) {
      const counter = new Counter({ name: `varve_${name}_total`, help, registers });
      this.#counters.set(key as keyof typeof counters, counter);
    }
  }

  /** Takes the counts of now. */
  set(nvme: NvmeCounters): void {
    this.#controllers.set({ kind: 'volume' }, nvme.controllers);
    this.#controllers.set({ kind: 'discovery' }, nvme.discoveries);
    this.#connections.set(nvme.connections);
    this.#commands.reset();
    for (const queue of ['admin', 'io'] as const) {
      this.#commands.inc({ queue }, nvme.commands[queue]);
    }
    this.#answers.reset();
    for (const [status, count] of Object.entries(nvme.statuses)) {
      if (count > 0) this.#answers.inc({ status: status.toLowerCase() }, count);
    }
    this.#digestErrors.reset();
    this.#digestErrors.inc({ part: 'header' }, nvme.headerDigestErrors);
    this.#digestErrors.inc({ part: 'data' }, nvme.dataDigestErrors);
    for (const [key, counter] of this.#counters) {
      counter.reset();
      counter.inc(nvme[key]);
    }
  }
}
