/** The operations whose sequences are tried exhaustively, on the pool that `exhaustive.ts` prepares. */
import type { NodeKind } from '../../store/store-api.ts';
import type { SimulatedClient } from './simulated-client.ts';
import type { ModelNode, StoreModel } from '../model/store-model.ts';

/** One operation; it does nothing when its object is absent or busy (an earlier one deleted it, say). */
export interface SequenceOperation {
  readonly name: string;
  readonly issue: (client: SimulatedClient, model: StoreModel) => void;
}

type Act = (client: SimulatedClient, node: ModelNode, model: StoreModel) => void;

function on(kind: NodeKind, nodeName: string, name: string, act: Act): SequenceOperation {
  return {
    name: `${name} ${nodeName}`,
    issue: (client, model) => {
      const node = model.find({ kind, name: nodeName });
      if (!node || node.state !== 'live' || node.cut || node.refusesIo) return;
      act(client, node, model);
    },
  };
}

/** A control operation: one at a time on a node. */
function control(kind: NodeKind, nodeName: string, name: string, act: Act): SequenceOperation {
  return on(kind, nodeName, name, (client, node, model) => {
    if (!node.isLocked) act(client, node, model);
  });
}

function write(volume: string, lbn: number, blockCount: number, fua = false): SequenceOperation {
  const name = `write ${lbn}+${blockCount}${fua ? ' fua' : ''}`;
  return on('volume', volume, name, (client, node) => {
    client.write(node, { lbn, blockCount: Math.min(blockCount, node.sizeBlocks - lbn) }, fua);
  });
}

function revertTo(volume: string, snapshotName: string): SequenceOperation {
  return control('volume', volume, `revert to ${snapshotName}`, (client, node, model) => {
    const snapshot = model.find({ kind: 'snapshot', name: snapshotName });
    if (!snapshot || snapshot.isLocked || snapshot.state !== 'live') return;
    client.revert(node, snapshot, '{"reverted":true}');
  });
}

function isNew(model: StoreModel, kind: NodeKind, name: string): boolean {
  return model.find({ kind, name }) === undefined;
}

/**
 * Volume a has own blocks 0-1, shared ones 2-5 and holes to 39; s is its snapshot; c clones s with own blocks 1-2.
 */
export const sequenceOperations: readonly SequenceOperation[] = [
  write('a', 0, 1),
  write('a', 0, 1, true),
  write('a', 3, 1),
  write('a', 3, 1, true),
  write('a', 1, 9),
  write('a', 0, 16),
  write('a', 16, 16),
  write('a', 39, 1),
  write('c', 0, 3),
  on('volume', 'a', 'discard 0+1', (client, node) =>
    client.discard(node, { lbn: 0, blockCount: 1 }),
  ),
  on('volume', 'a', 'discard 2+30', (client, node) =>
    client.discard(node, { lbn: 2, blockCount: 30 }),
  ),
  on('volume', 'a', 'zero 1+4 fua', (client, node) =>
    client.writeZeroes(node, { lbn: 1, blockCount: 4 }, true),
  ),
  on('volume', 'c', 'discard 0+8', (client, node) =>
    client.discard(node, { lbn: 0, blockCount: 8 }),
  ),
  on('volume', 'a', 'flush', (client, node) => client.flush(node)),
  on('volume', 'c', 'flush', (client, node) => client.flush(node)),
  on('volume', 'a', 'read', (client, node) => client.read(node, { lbn: 0, blockCount: 8 })),
  control('volume', 'a', 'snapshot t of', (client, node, model) => {
    if (isNew(model, 'snapshot', 't'))
      client.createSnapshot(node, { name: 't', attributes: '{"of":"t"}' });
  }),
  control('volume', 'c', 'snapshot u of', (client, node, model) => {
    if (isNew(model, 'snapshot', 'u'))
      client.createSnapshot(node, { name: 'u', attributes: '{"of":"u"}' });
  }),
  control('snapshot', 's', 'clone d of', (client, node, model) => {
    if (!isNew(model, 'volume', 'd')) return;
    client.createClone(node, { name: 'd', sizeBlocks: node.sizeBlocks, attributes: '{"of":"d"}' });
  }),
  control('volume', 'a', 'clone e of volume', (client, node, model) => {
    if (!isNew(model, 'volume', 'e')) return;
    client.createClone(node, {
      name: 'e',
      sizeBlocks: node.sizeBlocks + 8,
      attributes: '{"of":"e"}',
    });
  }),
  control('snapshot', 's', 'delete', (client, node) => client.deleteNode(node)),
  control('volume', 'a', 'delete', (client, node) => client.deleteNode(node)),
  control('volume', 'c', 'delete', (client, node) => client.deleteNode(node)),
  control('snapshot', 't', 'delete', (client, node) => client.deleteNode(node)),
  revertTo('a', 's'),
  revertTo('c', 's'),
  control('volume', 'a', 'grow', (client, node) => client.resize(node, node.sizeBlocks + 30)),
  control('volume', 'a', 'attributes of', (client, node) =>
    client.setAttributes(node, '{"now":"other"}'),
  ),
  control('snapshot', 's', 'attributes of', (client, node) =>
    client.setAttributes(node, '{"now":"else"}'),
  ),
  {
    name: 'create volume z',
    issue: (client, model) => {
      if (!isNew(model, 'volume', 'z')) return;
      client.createVolume({ name: 'z', sizeBlocks: 5, attributes: '{"of":"z"}' });
    },
  },
  { name: 'checkpoint', issue: (client) => client.checkpoint() },
  { name: 'heal', issue: (client) => client.heal() },
];
