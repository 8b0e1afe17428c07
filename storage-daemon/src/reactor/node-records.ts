/** Tells the main thread of every object that is made, changed or gone, so that it knows which reactor has it. */
import { blocksToBytes } from '../units.ts';
import type { ReactorNotices } from './channel.ts';
import { hostsOf } from './control/object-attributes.ts';
import { parseExportName } from './export-name.ts';
import type { NodeRecord } from './messages.ts';
import type { FoundNode, OpenPools } from './pools/open-pools.ts';
import { formatUuid } from './uuid-text.ts';

/** What the main thread keeps of a node. */
export function recordNode({ store, summary }: FoundNode): NodeRecord {
  const { kind, name, uuid, sizeBlocks } = summary;
  return {
    kind,
    name,
    pool: store.poolName,
    uuid: formatUuid(uuid),
    sizeBytes: blocksToBytes(sizeBlocks),
    hosts: kind === 'volume' ? hostsOf(summary).map(({ nqn }) => nqn) : [],
  };
}

/**
 * Notices that tell of objects before each event about one: operations tell an event of everything that they have
 * changed, before they answer.
 */
export function tellOfNodes(notices: ReactorNotices, pools: OpenPools): ReactorNotices {
  return {
    ...notices,
    event: (event) => {
      const node = parseExportName(event.object);
      if (node) {
        const found = pools.find(node);
        notices.node?.(node, found && recordNode(found));
      }
      notices.event(event);
    },
  };
}
