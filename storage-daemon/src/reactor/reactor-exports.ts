/** The exports of a reactor, of all protocols: NBD for tools of this machine, NVMe/TCP for hosts. */
import type { Info } from '@varve/contract/info';

import type { NvmeCounters } from '../nvmf/nvme-counters.ts';
import type { NodeName } from '../store/store-api.ts';
import type { Connections } from './connections.ts';
import type { ExportServer } from './export-server.ts';
import type {
  AdoptedNbdClient,
  AdoptedNvmeQueue,
  NbdListenAddress,
  NvmeListenAddress,
} from './messages.ts';
import type { NvmeServer } from './nvme/nvme-server.ts';

/** What serves each protocol. */
export interface ReactorExportsParts {
  readonly nbd: Connections;
  readonly nvme: NvmeServer;
}

/** NBD and NVMe/TCP as one. */
export class ReactorExports implements ExportServer {
  readonly #nbd: Connections;
  readonly #nvme: NvmeServer;
  /** Where other threads listen for hosts of ours. */
  #elsewhere: readonly NvmeListenAddress[] = [];

  constructor({ nbd, nvme }: ReactorExportsParts) {
    this.#nbd = nbd;
    this.#nvme = nvme;
  }

  get connectionCount(): number {
    return this.#nbd.connectionCount + this.#nvme.connectionCount;
  }

  get authenticationFailureCount(): number {
    return this.#nvme.authenticationFailureCount;
  }

  get nvmeCounters(): NvmeCounters {
    return this.#nvme.counters;
  }

  get nvmeAddresses(): readonly NvmeListenAddress[] {
    return [...this.#nvme.addresses, ...this.#elsewhere];
  }

  listen(addresses: readonly NbdListenAddress[]): Promise<Info['exports']> {
    return this.#nbd.listen(addresses);
  }

  listenForNvme(addresses: readonly NvmeListenAddress[]): Promise<Info['exports']> {
    return this.#nvme.listen(addresses);
  }

  noteNvmeAddresses(addresses: readonly NvmeListenAddress[]): undefined {
    this.#elsewhere = addresses;
  }

  adoptNbdClient(client: AdoptedNbdClient): undefined {
    this.#nbd.adopt(client);
  }

  adoptNvmeQueue(queue: AdoptedNvmeQueue): undefined {
    this.#nvme.adopt(queue);
  }

  /** NBD clients have no host name, and so no grant that could be revoked. */
  fence(volumeId: string, hostNqn: string): Promise<void> {
    return this.#nvme.fence(volumeId, hostNqn);
  }

  /** NBD clients read the size once, and never again. */
  volumeResized(node: NodeName): void {
    this.#nvme.volumeResized(node);
  }

  accessChanged(): void {
    this.#nvme.accessChanged();
  }

  async close(): Promise<void> {
    await Promise.all([this.#nbd.close(), this.#nvme.close()]);
  }
}
