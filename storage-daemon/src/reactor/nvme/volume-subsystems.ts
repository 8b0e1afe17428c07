/**
 * The subsystems as NVMe/TCP hosts see them: one per volume, named by its UUID, open to the hosts that have a grant on
 * it. A volume that is not found may be in a pool that is not open now, so a host is told to try again as long as
 * there is such a pool: with a final "no", Linux would give its device up.
 */
import { volumeNqnPrefix } from '@varve/contract/host';
import { isProblemError } from '@varve/contract/problem';

import { parseDhchapSecret } from '../../nvmf/auth/dhchap-secret.ts';
import type {
  NvmeAttachment,
  NvmeHost,
  NvmeRefusal,
  NvmeSecrets,
  NvmeSubsystems,
} from '../../nvmf/ports.ts';
import type { NodeSummary } from '../../store/store-api.ts';
import { VolumeTableError } from '../../volume/volume-table-error.ts';
import type { VolumeTable } from '../../volume/volume-table.ts';
import type { OpenPools } from '../pools/open-pools.ts';
import { formatUuid } from '../uuid-text.ts';
import type { HostAccess, HostGrant } from '../host-access.ts';

/** What the subsystems are made from. */
export interface VolumeSubsystemsDependencies {
  readonly pools: OpenPools;
  readonly volumes: VolumeTable;
  readonly access: HostAccess;
  /** Other reactors have volumes too: whoever accepts connections knows which. */
  readonly isOneOfMany?: boolean;
}

/** The name of a volume's subsystem. It lasts as long as the volume, whatever becomes of its id. */
export function formatSubsystemNqn(uuid: Uint8Array): string {
  return volumeNqnPrefix + formatUuid(uuid);
}

/** Volumes as subsystems. */
export class VolumeSubsystems implements NvmeSubsystems {
  readonly #dependencies: VolumeSubsystemsDependencies;

  constructor(dependencies: VolumeSubsystemsDependencies) {
    this.#dependencies = dependencies;
  }

  attach(
    subsystemNqn: string,
    host: NvmeHost,
    evicted: (reason: string) => void,
  ): NvmeAttachment | NvmeRefusal {
    const { access, volumes, isOneOfMany = false } = this.#dependencies;
    if (!subsystemNqn.startsWith(volumeNqnPrefix)) return 'unknown';
    const volume = this.#find(subsystemNqn);
    if (!volume) return isOneOfMany || this.#hasClosedPool() ? 'busy' : 'unknown';
    const grant = access.grantOf(volume.name, host.nqn);
    if (!grant) return 'forbidden';
    try {
      const handle = volumes.open(volume, { evicted });
      // Hosts reconnect after a crash of the daemon, repeat what had no answer, and trust what had one.
      handle.volume.keepAnswers();
      return {
        uuid: volume.uuid,
        volume: handle.volume,
        secrets: readSecrets(grant),
        close: () => void handle.close(),
      };
    } catch (error) {
      if (!(error instanceof VolumeTableError)) throw error;
      return error.kind === 'not-found' ? 'unknown' : 'busy';
    }
  }

  visibleTo(hostNqn: string): readonly string[] {
    const { pools, access } = this.#dependencies;
    return pools
      .list('volume')
      .filter(({ summary }) => access.grantOf(summary.name, hostNqn) !== undefined)
      .map(({ summary }) => formatSubsystemNqn(summary.uuid));
  }

  #find(subsystemNqn: string): NodeSummary | undefined {
    return this.#dependencies.pools
      .list('volume')
      .find(({ summary }) => formatSubsystemNqn(summary.uuid) === subsystemNqn)?.summary;
  }

  #hasClosedPool(): boolean {
    try {
      this.#dependencies.pools.requireAll('Attaching a volume');
      return false;
    } catch (error) {
      if (isProblemError(error)) return true;
      throw error;
    }
  }
}

/** Secrets were checked when they were given. */
function readSecrets(grant: HostGrant): NvmeSecrets | undefined {
  const { secret, controllerSecret, hash, group } = grant;
  if (secret === undefined) return undefined;
  return {
    host: parseDhchapSecret(secret),
    controller: controllerSecret === undefined ? undefined : parseDhchapSecret(controllerSecret),
    hashes: hash === undefined ? undefined : [hash],
    groups: group === undefined ? undefined : [group],
  };
}
