/** Which paths to a volume are there, which are missing, and which must not be. */
import type { Portal } from '@varve/contract/kubernetes/attachment-metadata';
import type { NvmeController } from '../system/node-system.ts';

/** What to do about the paths of one subsystem. */
export type PathDecision =
  | { readonly kind: 'connect'; readonly portals: readonly Portal[] }
  /** A controller is on its way out; it must be gone first. */
  | { readonly kind: 'wait'; readonly why: string }
  | { readonly kind: 'refuse'; readonly why: string };

/** States in which a controller does not come back. */
const endingStates = ['deleting', 'deleting (no IO)', 'dead'];

/** Compares the controllers of a subsystem with the portals that the attachment names. */
export function decidePaths(
  controllers: readonly NvmeController[],
  wanted: {
    readonly subsystemNqn: string;
    readonly hostNqn: string;
    readonly portals: readonly Portal[];
    /** Whether the kernel joins paths. */
    readonly hasMultipath: boolean;
  },
): PathDecision {
  const own = controllers.filter(({ subsystemNqn }) => subsystemNqn === wanted.subsystemNqn);
  const foreign = own.find(({ hostNqn }) => hostNqn !== wanted.hostNqn);
  if (foreign !== undefined) {
    return {
      kind: 'refuse',
      why:
        `${foreign.name} is connected to it under the host name ${foreign.hostNqn}, not ${wanted.hostNqn}; ` +
        'somebody else attached it: run "nvme disconnect" for it',
    };
  }
  const ending = own.find(({ state }) => endingStates.includes(state));
  if (ending !== undefined) return { kind: 'wait', why: `${ending.name} is ${ending.state}` };
  // Two paths that nothing joins would be two devices with one content, each with a cache of its own.
  if (!wanted.hasMultipath && own.length > 0) return { kind: 'connect', portals: [] };
  const isConnected = (portal: Portal): boolean =>
    own.some((each) => each.portal.host === portal.host && each.portal.port === portal.port);
  return { kind: 'connect', portals: wanted.portals.filter((portal) => !isConnected(portal)) };
}
