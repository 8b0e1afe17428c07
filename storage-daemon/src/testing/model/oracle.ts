/**
 * What must hold after a recovery. Each unanswered control operation happened wholly or not at all, each answered one
 * did; every block holds its last durable value or a later one; snapshots are exactly their cut; sizes are exact.
 * Afterwards the model is settled on what was found, and the history goes on from there.
 */
import { assert } from '@varve/common/assert';

import type { Store } from '../../store/store-api.ts';
import { judgeCut, judgeRecovered, type BlockReading } from './judge-content.ts';
import { judgeAllocation, judgeCatalog, judgeSpace } from './judge-store.ts';
import type { SeededRandom } from '../seeded-random.ts';
import { checkSummary, nameOf } from './node-summary.ts';
import type { SimulatedClient } from '../runs/simulated-client.ts';
import { expectHolds } from './simulation-failure.ts';
import type { ModelNode, StoreModel } from './store-model.ts';

/** Judges a store that was opened after a crash, and settles the model on it. */
export async function judgeRecovery(
  model: StoreModel,
  dependencies: { store: Store; client: SimulatedClient; random: SeededRandom },
): Promise<void> {
  const { store, client, random } = dependencies;
  expectHolds(
    store.readOnlyReason === undefined,
    () => `the recovered store is read-only: ${store.readOnlyReason}`,
  );
  const reverted = decideChanges(model, store);
  const readings = new Map<ModelNode, BlockReading[]>();
  for (const node of model.nodes) {
    if (node.state !== 'live') continue;
    decideScalars(model, store, node);
    readings.set(node, await client.session.readAll(node));
  }
  const contents = judgeContents(model, readings, reverted);
  finishDeletes(model, store);
  for (const node of model.nodes) release(node);
  model.pending.clear();
  judgeCatalog(model, store);
  await judgeSpace(model, { store, contents, random });
  await judgeAllocation(store, contents);
}

/** Creations and reverts that a crash left open; deletions follow when contents are known. */
function decideChanges(model: StoreModel, store: Store): Set<ModelNode> {
  const reverted = new Set<ModelNode>();
  for (const change of model.pending) {
    if (change.type !== 'create') continue;
    if (store.find(nameOf(change.node))) model.applyCreate(change.node, change.source);
    else model.dropCreate(change.node);
  }
  for (const change of model.pending) {
    if (change.type !== 'revert') continue;
    if (store.find(nameOf(change.node))?.attributes !== change.attributes) continue;
    model.applyRevert(change.node, change.snapshot, change.attributes);
    reverted.add(change.node);
  }
  for (const change of model.pending) {
    if (change.type === 'delete' && store.find(nameOf(change.node))) change.node.state = 'live';
  }
  for (const node of model.nodes) {
    const isFound = node.state !== 'hidden' && store.find(nameOf(node)) !== undefined;
    expectHolds(isFound || node.state !== 'live', () => `${node.kind} ${node.name} is lost`);
  }
  return reverted;
}

/** Size and attributes, which an unanswered operation may have changed. */
function decideScalars(model: StoreModel, store: Store, node: ModelNode): void {
  const summary = store.find(nameOf(node))!;
  for (const change of model.pending) {
    if (!('node' in change) || change.node !== node) continue;
    if (change.type === 'attributes' && summary.attributes === change.attributes) {
      node.attributes = change.attributes;
    }
    if (change.type === 'resize' && summary.sizeBlocks === change.sizeBlocks) {
      model.applyResize(node, change.sizeBlocks);
    }
  }
  checkSummary(node, summary);
  node.createdMs = summary.createdMs;
}

function judgeContents(
  model: StoreModel,
  readings: ReadonlyMap<ModelNode, readonly BlockReading[]>,
  reverted: ReadonlySet<ModelNode>,
): Map<ModelNode, Uint32Array> {
  const contents = new Map<ModelNode, Uint32Array>();
  // Cuts first: they are judged by what happened to their source, which settling forgets.
  for (const [node, found] of readings) {
    if (!node.cut) continue;
    const tokens = judgeCut(model, node, found);
    model.resolveCut(node, tokens);
    contents.set(node, tokens);
  }
  for (const [node, found] of readings) {
    if (contents.has(node)) continue;
    assert(!reverted.has(node) || node.registers.size === 0, `${node.name} kept its registers`);
    const tokens = judgeRecovered(model, node, found);
    model.settle(node, tokens);
    contents.set(node, tokens);
  }
  return contents;
}

function finishDeletes(model: StoreModel, store: Store): void {
  for (const node of model.nodes) {
    if (node.state !== 'deleting') continue;
    expectHolds(
      !store.find(nameOf(node)),
      () => `${node.kind} ${node.name} was deleted and is back`,
    );
    node.pinCount = 0;
    model.applyDelete(node);
  }
}

function release(node: ModelNode): void {
  node.isLocked = false;
  node.refusesIo = false;
  node.pinCount = 0;
}
