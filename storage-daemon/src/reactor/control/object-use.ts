/**
 * What keeps an object from being deleted or reverted: open connections, nothing else. Whoever needs it for
 * himself reserves it; while it is reserved, no connection can open it.
 */
import { ProblemError } from '@varve/contract/problem';

import type { NodeName } from '../../store/store-api.ts';
import { VolumeTableError } from '../../volume/volume-table-error.ts';
import type { NodeReservation, VolumeTable } from '../../volume/volume-table.ts';
import type { ControlDependencies } from './control-dependencies.ts';
import { formatExportName } from '../export-name.ts';
import type { FoundNode } from '../pools/open-pools.ts';

/**
 * Runs `task` while nobody has the node open.
 *
 * @throws ProblemError `in-use` while a client has it open.
 */
export async function withReservation<Result>(
  action: string,
  node: NodeName,
  { volumes }: { readonly volumes: VolumeTable },
  task: () => Promise<Result>,
): Promise<Result> {
  const reservation = await reserve(action, node, volumes);
  try {
    return await task();
  } finally {
    reservation.release();
  }
}

/** Deletes a node that nobody has open; its space comes back in the background. */
export async function deleteNode(
  action: string,
  { store, summary }: FoundNode,
  dependencies: ControlDependencies,
): Promise<void> {
  await withReservation(action, summary, dependencies, () => store.deleteNode(summary));
  dependencies.notices.event({
    type: summary.kind === 'volume' ? 'volume-deleted' : 'snapshot-deleted',
    object: formatExportName(summary),
    message: 'Deleted; its space comes back in the background.',
  });
  dependencies.spaceProgress.watch(store);
}

async function reserve(
  action: string,
  node: NodeName,
  volumes: VolumeTable,
): Promise<NodeReservation> {
  const count = volumes.openCount(node);
  try {
    return await volumes.reserve(node, { reason: `${action} is under way`, evictUsers: false });
  } catch (error) {
    throw error instanceof VolumeTableError ? describeRefusal(action, error, count) : error;
  }
}

function describeRefusal(action: string, error: VolumeTableError, count: number): ProblemError {
  const blocker = count === 1 ? '1 NBD connection' : `${count} NBD connections`;
  switch (error.kind) {
    case 'in-use':
      return new ProblemError('in-use', `${action} failed: it is open over ${blocker}`, {
        blocker,
      });
    case 'stopping':
      return new ProblemError('unavailable', `${action} failed: the daemon is stopping`);
    default:
      return new ProblemError('aborted', `${action} failed: ${error.message}`, { cause: error });
  }
}
