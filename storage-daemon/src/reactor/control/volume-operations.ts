/**
 * The calls on volumes. Each either finds what an earlier, equal call did, or makes one change in the
 * store; a volume's attributes travel in the same record as the change that they describe.
 *
 * The main thread runs calls that change one volume one after another, and none that changes the source of
 * a creation meanwhile.
 */
import type { Page } from '@varve/contract/page';
import { roundUpSizeBytes, volumeSizeBytesMax } from '@varve/contract/identifier';
import { ProblemError } from '@varve/contract/problem';
import type { PutVolume, Volume, VolumeSource } from '@varve/contract/volume';

import type { NodeName, NodeSummary, Store } from '../../store/store-api.ts';
import { blocksToBytes, bytesToBlocks } from '../../units.ts';
import type { FoundNode } from '../pools/open-pools.ts';
import type { ArgumentOf, Creation, ListArgument } from '../messages.ts';
import type { ControlDependencies } from './control-dependencies.ts';
import { formatExportName } from '../export-name.ts';
import { requireNoHosts } from './host-operations.ts';
import { selectPage } from './list-page.ts';
import {
  decodeSnapshotAttributes,
  decodeVolumeAttributes,
  encodeAttributes,
  revertIdsMax,
  type VolumeAttributes,
} from './object-attributes.ts';
import { countSpace, noOwnSpace } from './object-space.ts';
import { deleteNode, withReservation } from './object-use.ts';
import { viewVolume } from './volume-view.ts';

/** Calls on volumes. */
export class VolumeOperations {
  readonly #dependencies: ControlDependencies;

  constructor(dependencies: ControlDependencies) {
    this.#dependencies = dependencies;
  }

  async put({ id, body }: ArgumentOf<'putVolume'>): Promise<Creation<Volume>> {
    const { pools, environment, notices } = this.#dependencies;
    const action = `Creating volume "${id}"`;
    const existing = pools.find({ kind: 'volume', name: id });
    if (existing) {
      compareCreation(action, existing, body);
      return { isNew: false, object: await this.#view(existing) };
    }
    const store = pools.require(body.pool, action);
    const sizeBytes = roundUpSize(action, body.sizeBytes);
    const source = this.#findSource(action, store, body);
    if (source && bytesToBlocks(sizeBytes) < source.sizeBlocks) {
      throw new ProblemError(
        'out-of-range',
        `${action} with ${body.sizeBytes} bytes failed: ${source.kind} "${source.name}" has ` +
          `${blocksToBytes(source.sizeBlocks)}; a volume made from it must not be smaller`,
        { field: 'sizeBytes' },
      );
    }
    const attributes: VolumeAttributes = {
      version: 1,
      creation: { sizeBytes: body.sizeBytes, ...(body.source && { source: body.source }) },
      filesystem: source ? filesystemOf(source) : { state: 'blank' },
      labels: body.labels,
      limits: body.limits,
      reverts: [],
    };
    const options = {
      name: id,
      uuid: environment.randomUuid(),
      sizeBlocks: bytesToBlocks(sizeBytes),
      attributes: encodeAttributes(action, attributes),
    };
    const summary = source
      ? await store.createClone({ ...options, source })
      : await store.createVolume(options);
    const message = source ? `Created from ${formatExportName(source)}.` : 'Created empty.';
    notices.event({ type: 'volume-created', object: formatExportName(summary), message });
    return { isNew: true, object: { ...this.#viewPlain({ store, summary }), ...noOwnSpace } };
  }

  async patch({ id, body }: ArgumentOf<'patchVolume'>): Promise<Volume> {
    const action = `Changing volume "${id}"`;
    const { store, summary } = this.#require(id, action);
    const before = decodeVolumeAttributes(summary.attributes);
    const attributes = encodeAttributes(action, {
      ...before,
      ...(body.labels && { labels: body.labels }),
      ...(body.limits && { limits: body.limits }),
    });
    let after = summary;
    if (body.sizeBytes !== undefined) {
      const sizeBlocks = bytesToBlocks(roundUpSize(action, body.sizeBytes));
      if (sizeBlocks < summary.sizeBlocks) {
        throw new ProblemError(
          'out-of-range',
          `${action} failed: its size is ${blocksToBytes(summary.sizeBlocks)} bytes and cannot shrink to ` +
            `${body.sizeBytes}`,
          { field: 'sizeBytes' },
        );
      }
      if (sizeBlocks > summary.sizeBlocks) {
        after = await store.resize(id, sizeBlocks);
        this.#dependencies.exports.volumeResized(summary);
      }
    }
    if (attributes !== summary.attributes) after = await store.setAttributes(summary, attributes);
    if (body.limits) this.#dependencies.volumes.setLimits(summary, body.limits);
    if (after !== summary) {
      const object = formatExportName(summary);
      this.#dependencies.notices.event({ type: 'volume-changed', object, message: 'Changed.' });
    }
    return this.#view({ store, summary: after });
  }

  async get({ id }: ArgumentOf<'getVolume'>): Promise<Volume> {
    return this.#view(this.#require(id, `Reading volume "${id}"`));
  }

  async list(query: ListArgument): Promise<Page<Volume>> {
    const { nodes, next } = selectPage(this.#dependencies.pools, 'volume', query);
    const items: Volume[] = [];
    for (const found of nodes) {
      const space = query.withSpace ? await countSpace(found) : undefined;
      items.push({ ...this.#viewPlain(found), ...space });
    }
    return { items, ...next };
  }

  async delete({ id }: ArgumentOf<'deleteVolume'>): Promise<undefined> {
    const name: NodeName = { kind: 'volume', name: id };
    const action = `Deleting volume "${id}"`;
    const found = this.#dependencies.pools.find(name);
    if (!found) {
      this.#dependencies.pools.requireAll(action);
      return;
    }
    requireNoHosts(action, found);
    await deleteNode(action, found, this.#dependencies);
  }

  async revert({ id, revert, snapshot }: ArgumentOf<'putRevert'>): Promise<Volume> {
    const { pools, notices } = this.#dependencies;
    const action = `Reverting volume "${id}" to snapshot "${snapshot}"`;
    const found = this.#require(id, action);
    const before = decodeVolumeAttributes(found.summary.attributes);
    const done = before.reverts.find((each) => each.id === revert);
    if (done) {
      if (done.snapshot === snapshot) return this.#view(found);
      throw new ProblemError(
        'already-exists',
        `${action} failed: revert "${revert}" was done, to snapshot "${done.snapshot}"`,
        { field: 'snapshot' },
      );
    }
    const target = pools.requireNode({ kind: 'snapshot', name: snapshot }, action, 'snapshot');
    if (target.store !== found.store) {
      throw new ProblemError(
        'failed-precondition',
        `${action} failed: the snapshot is in pool "${target.store.poolName}", the volume in "${found.store.poolName}"`,
        { field: 'snapshot' },
      );
    }
    requireNoHosts(action, found);
    const attributes = encodeAttributes(action, {
      ...before,
      // The content is the snapshot's again, and so is what is known of it.
      filesystem: decodeSnapshotAttributes(target.summary.attributes).filesystem,
      reverts: [...before.reverts, { id: revert, snapshot }].slice(-revertIdsMax),
    });
    const summary = await withReservation(action, found.summary, this.#dependencies, () =>
      found.store.revert(id, snapshot, attributes),
    );
    notices.event({
      type: 'volume-reverted',
      object: formatExportName(summary),
      message: `Put back to snapshot/${snapshot}.`,
    });
    return this.#view({ store: found.store, summary });
  }

  #findSource(action: string, store: Store, body: PutVolume): NodeSummary | undefined {
    if (!body.source) return undefined;
    const { field, name } = nameSource(body.source);
    const found = this.#dependencies.pools.requireNode(name, action, field);
    if (found.store === store) return found.summary;
    throw new ProblemError(
      'invalid-argument',
      `${action} in pool "${body.pool}" failed: ${name.kind} "${name.name}" is in pool ` +
        `"${found.store.poolName}", and what is made from it must be in the same`,
      { field: 'pool' },
    );
  }

  #require(id: string, action: string): FoundNode {
    return this.#dependencies.pools.requireNode({ kind: 'volume', name: id }, action);
  }

  /** Without the sizes that take a computation. */
  #viewPlain(found: FoundNode): Volume {
    const { volumes, exports } = this.#dependencies;
    const connections = volumes.openCount(found.summary);
    return viewVolume(found, { connections, nvmeAddresses: exports.nvmeAddresses });
  }

  async #view(found: FoundNode): Promise<Volume> {
    const space = await countSpace(found);
    return { ...this.#viewPlain(found), ...space };
  }
}

function nameSource(source: VolumeSource): { readonly field: string; readonly name: NodeName } {
  return source.snapshot !== undefined
    ? { field: 'source.snapshot', name: { kind: 'snapshot', name: source.snapshot } }
    : { field: 'source.volume', name: { kind: 'volume', name: source.volume! } };
}

function filesystemOf({ kind, attributes }: NodeSummary): VolumeAttributes['filesystem'] {
  return kind === 'snapshot'
    ? decodeSnapshotAttributes(attributes).filesystem
    : decodeVolumeAttributes(attributes).filesystem;
}

function roundUpSize(action: string, sizeBytes: number): number {
  const rounded = roundUpSizeBytes(sizeBytes);
  if (rounded <= volumeSizeBytesMax) return rounded;
  throw new ProblemError(
    'out-of-range',
    `${action} with ${sizeBytes} bytes failed: at most ${volumeSizeBytesMax} are allowed`,
    { field: 'sizeBytes' },
  );
}

/** A repeat must give the creation arguments as they were first given; later changes do not count. */
function compareCreation(action: string, { store, summary }: FoundNode, body: PutVolume): void {
  const { creation } = decodeVolumeAttributes(summary.attributes);
  const pairs: readonly (readonly [field: string, first: unknown, now: unknown])[] = [
    ['pool', store.poolName, body.pool],
    ['sizeBytes', creation.sizeBytes, body.sizeBytes],
    ['source.snapshot', creation.source?.snapshot, body.source?.snapshot],
    ['source.volume', creation.source?.volume, body.source?.volume],
  ];
  for (const [field, first, now] of pairs) {
    if (first === now) continue;
    throw new ProblemError(
      'already-exists',
      `${action} failed: it exists and was created with ${field} ${JSON.stringify(first) ?? 'absent'}, not ` +
        (JSON.stringify(now) ?? 'absent'),
      { field },
    );
  }
}
