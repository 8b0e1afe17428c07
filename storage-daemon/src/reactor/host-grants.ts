/**
 * Who may attach what, read from the volumes themselves: a grant is an attribute of its volume, so what is asked here
 * is what the last change has made durable.
 */
import {
  DhchapGroup,
  type DhchapGroupId,
  DhchapHash,
  type DhchapHashId,
} from '../nvmf/auth/dhchap-parameters.ts';
import { hostsOf, type StoredHost } from './control/object-attributes.ts';
import type { HostAccess, HostGrant } from './host-access.ts';
import type { OpenPools } from './pools/open-pools.ts';

const hashIds = {
  'SHA-256': DhchapHash.SHA_256,
  'SHA-384': DhchapHash.SHA_384,
  'SHA-512': DhchapHash.SHA_512,
} as const satisfies Record<NonNullable<StoredHost['hash']>, DhchapHashId>;

const groupIds = {
  null: DhchapGroup.NULL,
  ffdhe2048: DhchapGroup.FFDHE_2048,
  ffdhe3072: DhchapGroup.FFDHE_3072,
  ffdhe4096: DhchapGroup.FFDHE_4096,
  ffdhe6144: DhchapGroup.FFDHE_6144,
  ffdhe8192: DhchapGroup.FFDHE_8192,
} as const satisfies Record<NonNullable<StoredHost['dhGroup']>, DhchapGroupId>;

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
    const { hostKey, controllerKey, hash, dhGroup } = host;
    return {
      ...(hostKey !== undefined && { secret: hostKey }),
      ...(controllerKey !== undefined && { controllerSecret: controllerKey }),
      ...(hash !== undefined && { hash: hashIds[hash] }),
      ...(dhGroup !== undefined && { group: groupIds[dhGroup] }),
    };
  }

  /** Grants of all volumes together. */
  get count(): number {
    let count = 0;
    for (const { summary } of this.#pools.list('volume')) count += hostsOf(summary).length;
    return count;
  }
}
