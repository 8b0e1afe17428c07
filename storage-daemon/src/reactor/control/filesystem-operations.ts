/**
 * The recorded file system state of a volume. Its purpose: a volume with data is never formatted. A node
 * may run mkfs only after the daemon has recorded `formatting`, and the daemon records that only while
 * nothing is written to the volume.
 *
 *   blank -> formatting (only while nothing is mapped) -> ready
 */
import type { Filesystem } from '@varve/contract/filesystem';
import { ProblemError } from '@varve/contract/problem';

import { blocksToBytes } from '../../units.ts';
import type { ArgumentOf, BoundCall } from '../messages.ts';
import type { FoundNode } from '../pools/open-pools.ts';
import type { ControlDependencies } from './control-dependencies.ts';
import { formatExportName } from '../export-name.ts';
import { decodeVolumeAttributes, encodeAttributes, hostsOf } from './object-attributes.ts';

/** Calls on the file system state. */
export class FilesystemOperations {
  readonly #dependencies: ControlDependencies;

  constructor(dependencies: ControlDependencies) {
    this.#dependencies = dependencies;
  }

  async get({ id, boundHost }: ArgumentOf<'getFilesystem'>): Promise<Filesystem> {
    const action = `Reading the file system state of volume "${id}"`;
    const { summary } = this.#require(id, { action, boundHost });
    return decodeVolumeAttributes(summary.attributes).filesystem;
  }

  async put({ id, body, boundHost }: ArgumentOf<'putFilesystem'>): Promise<Filesystem> {
    const { notices } = this.#dependencies;
    const action = `Recording file system state "${body.state}" of volume "${id}"`;
    const { store, summary } = this.#require(id, { action, boundHost });
    const before = decodeVolumeAttributes(summary.attributes);
    if (before.filesystem.state === body.state && before.filesystem.type === body.type) return body;
    checkTransition(action, before.filesystem, body);
    const writtenBlocks = summary.referencedBlocks - summary.slackBlocks;
    if (body.state === 'formatting' && writtenBlocks > 0) {
      throw new ProblemError(
        'failed-precondition',
        `${action} failed: ${blocksToBytes(writtenBlocks)} bytes are written to it, ` +
          'and a volume with data is never formatted',
        { field: 'state', blocker: 'data' },
      );
    }
    await store.setAttributes(summary, encodeAttributes(action, { ...before, filesystem: body }));
    notices.event({
      type: 'volume-changed',
      object: formatExportName(summary),
      message: `File system state: ${describeState(body)}.`,
    });
    return body;
  }

  /** A host that may not attach a volume does not learn either whether there is one. */
  #require(id: string, { action, boundHost }: BoundCall & { readonly action: string }): FoundNode {
    const { pools } = this.#dependencies;
    const name = { kind: 'volume', name: id } as const;
    if (boundHost === undefined) return pools.requireNode(name, action);
    const found = pools.find(name);
    if (found === undefined) pools.requireAll(action);
    else if (hostsOf(found.summary).some(({ nqn }) => nqn === boundHost)) return found;
    throw new ProblemError(
      'permission-denied',
      `${action} failed: host "${boundHost}" has no access to that volume; it must be granted first`,
    );
  }
}

function checkTransition(action: string, from: Filesystem, to: Filesystem): void {
  const isAllowed =
    (from.state === 'blank' && to.state === 'formatting') ||
    (from.state === 'formatting' && to.state === 'ready' && from.type === to.type);
  if (isAllowed) return;
  throw new ProblemError(
    'failed-precondition',
    `${action} failed: it is ${describeState(from)} and cannot become ${describeState(to)}; states go from blank to ` +
      'formatting to ready, with one type',
    { field: from.state === to.state || to.state === 'ready' ? 'type' : 'state' },
  );
}

function describeState({ state, type }: Filesystem): string {
  return type === undefined ? state : `${state} (${type})`;
}
