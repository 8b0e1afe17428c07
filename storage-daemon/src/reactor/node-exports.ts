/**
 * The exports as one connection sees them: names looked up in the pools, the one that it opens held until
 * it ends.
 */
import { assert } from '@varve/common/assert';

import type {
  NbdExport,
  NbdExportElsewhere,
  NbdExportRefusal,
  NbdExports,
} from '../nbd/exports.ts';
import type { NodeName } from '../store/store-api.ts';
import type { VolumeHandle, VolumeTable, VolumeUser } from '../volume/volume-table.ts';
import { VolumeTableError } from '../volume/volume-table-error.ts';
import type { Volume } from '../volume/volume.ts';
import { formatExportName, parseExportName } from './export-name.ts';

/** The volumes and snapshots that connections may open. */
export type ExportedVolumes = Pick<VolumeTable, 'list' | 'describe' | 'open'>;

/** One connection's exports. */
export class NodeExports implements NbdExports {
  readonly #volumes: ExportedVolumes;
  readonly #user: VolumeUser;
  #handle: VolumeHandle | undefined;

  constructor(user: VolumeUser, volumes: ExportedVolumes) {
    this.#user = user;
    this.#volumes = volumes;
  }

  /** The volume that `open` opened. */
  get opened(): Volume {
    assert(this.#handle !== undefined, 'no export is open');
    return this.#handle.volume;
  }

  *list(): Iterable<Pick<NbdExport, 'name' | 'description'>> {
    for (const node of this.#volumes.list()) {
      yield { name: formatExportName(node), description: describeNode(node) };
    }
  }

  describe(name: string): NbdExport | NbdExportRefusal {
    const node = parseExportName(name);
    const found = node && this.#volumes.describe(node);
    if (!found) return unknown(name);
    return { name, description: describeNode(node), ...found };
  }

  open(name: string): NbdExport | NbdExportRefusal | NbdExportElsewhere {
    assert(this.#handle === undefined, 'an export is open already');
    const node = parseExportName(name);
    if (!node) return unknown(name);
    try {
      this.#handle = this.#volumes.open(node, this.#user);
    } catch (error) {
      if (!(error instanceof VolumeTableError)) throw error;
      if (error.kind === 'not-found') return unknown(name);
      if (error.kind === 'elsewhere') return { elsewhere: name };
      const refused = error.kind === 'stopping' ? 'shutting-down' : 'busy';
      return { refused, message: error.message };
    }
    const { sizeBytes } = this.#handle.volume;
    // A volume that a host may attach has its one writer.
    const isReadOnly = this.#volumes.describe(node)?.isReadOnly ?? true;
    return { name, description: describeNode(node), sizeBytes, isReadOnly };
  }

  /** Gives the open export back, if there is one. */
  async close(): Promise<void> {
    await this.#handle?.close();
  }
}

function describeNode({ kind, name }: NodeName): string {
  return kind === 'volume' ? `Volume ${name}` : `Snapshot ${name}, read-only`;
}

function unknown(name: string): NbdExportRefusal {
  const message =
    name === ''
      ? 'There is no default export; name one as volume/<id> or snapshot/<id>'
      : `There is no export "${name}"; names are volume/<id> and snapshot/<id>`;
  return { refused: 'unknown', message };
}
