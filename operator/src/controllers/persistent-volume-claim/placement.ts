/** Where an empty volume is made: in the pool with the most free space that may be used. */
import type { StorageDaemon } from '../../kube/storage-daemon-kind.ts';
import { isDaemonReady } from '../shared/daemon-readiness.ts';
import type { Placement } from '../shared/storage-handle.ts';
import type { VolumeDemand } from './claim-check.ts';

/** How many daemons a message names: it must stay readable, and fit an event. */
const namedDaemonsMax = 8;

/** The pool to use, or a sentence that says why there is none. */
export function choosePlacement(
  daemons: readonly StorageDaemon[],
  demand: VolumeDemand,
): Placement | string {
  const judged = daemons
    .filter(({ metadata }) => demand.daemon === undefined || metadata.name === demand.daemon)
    .map((daemon) => ({ daemon, ...judge(daemon, demand) }))
    .sort((left, right) => left.daemon.metadata.name.localeCompare(right.daemon.metadata.name));
  const [best] = judged
    .flatMap(({ daemon, pools }) =>
      pools.map((pool) => ({
        placement: { daemon: daemon.metadata.name, pool: pool.name },
        freeBytes: pool.freeBytes,
      })),
    )
    .sort((left, right) => right.freeBytes - left.freeBytes);
  if (best !== undefined) return best.placement;
  const wanted = demand.daemon === undefined ? '' : ` with the name ${demand.daemon}`;
  if (judged.length === 0) return `there is no StorageDaemon${wanted}; the claim waits for one`;
  const reasons = judged.slice(0, namedDaemonsMax).map(({ daemon, why }) => {
    return `StorageDaemon ${daemon.metadata.name} ${why}`;
  });
  return `no pool can take the volume, the claim waits for one: ${reasons.join('; ')}`;
}

interface Judgement {
  readonly pools: readonly { readonly name: string; readonly freeBytes: number }[];
  readonly why: string;
}

function judge(daemon: StorageDaemon, demand: VolumeDemand): Judgement {
  if (!isDaemonReady(daemon)) return { pools: [], why: 'is not ready' };
  if (daemon.spec.cordoned === true) return { pools: [], why: 'is cordoned' };
  const pools = (daemon.status?.pools ?? []).filter(
    ({ name, ready }) => ready && (demand.pool === undefined || name === demand.pool),
  );
  const wanted = demand.pool === undefined ? '' : ` with the name ${demand.pool}`;
  return { pools, why: `has no ready pool${wanted}` };
}
