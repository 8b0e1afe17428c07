/**
 * The calls on snapshots. The main thread runs no call that changes the volume while a snapshot of it is
 * taken; so the recorded file system state is the volume's at the cut. Snapshots of one volume are taken
 * side by side.
 */
import type { Page } from '@varve/contract/page';
import { ProblemError } from '@varve/contract/problem';
import type { Snapshot } from '@varve/contract/snapshot';

import type { NodeName } from '../../store/store-api.ts';
import { blocksToBytes } from '../../units.ts';
import type { FoundNode } from '../pools/open-pools.ts';
import type { ArgumentOf, Creation, ListArgument } from '../messages.ts';
import type { ControlDependencies } from './control-dependencies.ts';
import { formatExportName } from '../export-name.ts';
import { selectPage } from './list-page.ts';
import {
  decodeSnapshotAttributes,
  decodeVolumeAttributes,
  encodeAttributes,
} from './object-attributes.ts';
import { countSpace, noOwnSpace } from './object-space.ts';
import { deleteNode } from './object-use.ts';
import { ReferenceCounter, viewSnapshot } from './snapshot-view.ts';
import { formatUuid } from '../uuid-text.ts';

/** Calls on snapshots. */
export class SnapshotOperations {
  readonly #dependencies: ControlDependencies;

  constructor(dependencies: ControlDependencies) {
    this.#dependencies = dependencies;
  }

  async put({ id, body }: ArgumentOf<'putSnapshot'>): Promise<Creation<Snapshot>> {
    const { pools, environment, notices } = this.#dependencies;
    const action = `Taking snapshot "${id}" of volume "${body.volume}"`;
    const existing = pools.find({ kind: 'snapshot', name: id });
    if (existing) {
      const { volume } = decodeSnapshotAttributes(existing.summary.attributes).creation;
      if (volume === body.volume) return { isNew: false, object: await this.#view(existing) };
      throw new ProblemError(
        'already-exists',
        `${action} failed: it exists and was taken of volume "${volume}"`,
        { field: 'volume' },
      );
    }
    const { store, summary: volume } = pools.requireNode(
      { kind: 'volume', name: body.volume },
      action,
      'volume',
    );
    const attributes = encodeAttributes(action, {
      version: 1,
      creation: { volume: body.volume, volumeUuid: formatUuid(volume.uuid) },
      filesystem: decodeVolumeAttributes(volume.attributes).filesystem,
      labels: body.labels,
      ...(body.lockedUntil !== undefined && {
        lockedUntil: new Date(body.lockedUntil).toISOString(),
      }),
    });
    const uuid = environment.randomUuid();
    const summary = await store.createSnapshot({ name: id, uuid, volume: body.volume, attributes });
    notices.event({
      type: 'snapshot-created',
      object: formatExportName(summary),
      message: `Taken of ${formatExportName(volume)}.`,
    });
    const users = { references: new ReferenceCounter(), exports: 0 };
    const view = viewSnapshot({ store, summary }, users);
    return { isNew: true, object: { ...view, ...noOwnSpace } };
  }

  async get({ id }: ArgumentOf<'getSnapshot'>): Promise<Snapshot> {
    const name: NodeName = { kind: 'snapshot', name: id };
    return this.#view(this.#dependencies.pools.requireNode(name, `Reading snapshot "${id}"`));
  }

  async list(query: ListArgument): Promise<Page<Snapshot>> {
    const { pools, volumes } = this.#dependencies;
    const { nodes, next } = selectPage(pools, 'snapshot', query);
    const references = new ReferenceCounter();
    const items = nodes.map((found) =>
      viewSnapshot(found, { references, exports: volumes.openCount(found.summary) }),
    );
    if (!query.withSpace) return { items, ...next };
    for (const [index, found] of nodes.entries()) {
      Object.assign(items[index]!, await countSpace(found));
    }
    return { items, ...next };
  }

  async delete({ id }: ArgumentOf<'deleteSnapshot'>): Promise<undefined> {
    const { pools, environment } = this.#dependencies;
    const action = `Deleting snapshot "${id}"`;
    const found = pools.find({ kind: 'snapshot', name: id });
    if (!found) {
      pools.requireAll(action);
      return;
    }
    const { lockedUntil } = decodeSnapshotAttributes(found.summary.attributes);
    if (lockedUntil !== undefined && Date.parse(lockedUntil) > environment.nowMs()) {
      throw new ProblemError(
        'failed-precondition',
        `${action} failed: it is locked until ${lockedUntil}`,
        {
          blocker: `lock until ${lockedUntil}`,
        },
      );
    }
    await deleteNode(action, found, this.#dependencies);
  }

  /** Sums over the pools; deleting in one pool frees nothing in another. */
  async countReclaimable({ ids }: ArgumentOf<'countReclaimable'>): Promise<number> {
    const action = 'Counting reclaimable bytes';
    const byStore = Map.groupBy(new Set(ids), (name) => {
      return this.#dependencies.pools.requireNode({ kind: 'snapshot', name }, action, 'ids').store;
    });
    let blocks = 0;
    for (const [store, names] of byStore) blocks += await store.reclaimableBlocks(names);
    return blocksToBytes(blocks);
  }

  async #view(found: FoundNode): Promise<Snapshot> {
    const space = await countSpace(found);
    const exports = this.#dependencies.volumes.openCount(found.summary);
    return { ...viewSnapshot(found, { references: new ReferenceCounter(), exports }), ...space };
  }
}
