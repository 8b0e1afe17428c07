/**
 * Who may attach what, read from the volumes themselves: a grant is an attribute of its volume, so what is asked here
 * is what the last change has made durable.
 */
import type { NodeSummary } from '../store/store-api.ts';
import { decodeVolumeAttributes, type StoredHost } from './control/object-attributes.ts';
import type { HostAccess, HostGrant } from './host-access.ts';
import type { OpenPools } from './pools/open-pools.ts';

/** The grants of all volumes of a reactor. */
export class HostGrants implements HostAccess {
  readonly #pools: Pick<OpenPools, 'find' | 'list'>;

  constructor(pools: Pick<OpenPools, 'find' | 'list'>) {
    this.#pools = pools;
  }

  grantOf(volumeId: string, hostNqn: string): HostGrant | undefined {
    const found = this.#pools.find({ kind: 'volume', name: volumeId });
    // Most volumes are not this host's. Names hold nothing that JSON would write in another way.
    if (found?.summary.attributes.includes(JSON.stringify(hostNqn)) !== true) return undefined;
    const host = hostsOf(found.summary).find(({ nqn }) => nqn === hostNqn);
    if (host === undefined) return undefined;
    return {
      ...(host.hostKey !== undefined && { secret: host.hostKey }),
      ...(host.controllerKey !== undefined && { controllerSecret: host.controllerKey }),
    };
  }

  /** Grants of all volumes together. */
  get count(): number {
    let count = 0;
    for (const { summary } of this.#pools.list('volume')) count += hostsOf(summary).length;
    return count;
  }
}

/** The hosts that hold a volume. */
export function hostsOf({ attributes }: NodeSummary): readonly StoredHost[] {
  // Cheaper than parsing, for the many that have none.
  return attributes.includes('"hosts":') ? (decodeVolumeAttributes(attributes).hosts ?? []) : [];
}
