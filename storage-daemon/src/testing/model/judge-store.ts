/**
 * Compares what a store says of itself (catalog, sizes, allocation) with the reference model. Nothing may be under
 * way.
 */
import { createHash } from 'node:crypto';

import type { NodeSummary, Store } from '../../store/store-api.ts';
import { judgeRead, type BlockReading } from './judge-content.ts';
import { ModelSpaceCounter } from './model-space.ts';
import type { SeededRandom } from '../seeded-random.ts';
import { nameOf } from './node-summary.ts';
import type { SimulatedClient } from '../runs/simulated-client.ts';
import { expectHolds } from './simulation-failure.ts';
import type { ModelNode, StoreModel } from './store-model.ts';

/** Content of every visible node. */
export type Contents = ReadonlyMap<ModelNode, Uint32Array>;

/** Reads and judges every visible node while nothing is under way. */
export async function judgeQuietContents(
  model: StoreModel,
  client: SimulatedClient,
): Promise<Contents> {
  const contents = new Map<ModelNode, Uint32Array>();
  const beganAt = model.tick();
  for (const node of model.nodes) {
    if (node.state !== 'live') continue;
    const readings = await client.session.readAll(node);
    contents.set(node, judgeReadings(model, node, { readings, beganAt }));
  }
  return contents;
}

function judgeReadings(
  model: StoreModel,
  node: ModelNode,
  { readings, beganAt }: { readings: readonly BlockReading[]; beganAt: number },
): Uint32Array {
  const tokens = new Uint32Array(node.sizeBlocks);
  for (const reading of readings) tokens[reading.lbn] = judgeRead(model, node, reading, beganAt);
  return tokens;
}

/** Catalog: parents, counts of children, unique ids. */
export function judgeCatalog(model: StoreModel, store: Store): void {
  const nodeIds = new Set<string>();
  for (const kind of ['volume', 'snapshot'] as const) {
    const found = store.list(kind).map(({ name }) => name);
    const expected = model.live(kind).map(({ name }) => name);
    expectHolds(
      found.toSorted().join() === expected.toSorted().join(),
      () => `the ${kind}s are [${found.join()}] instead of [${expected.join()}]`,
    );
  }
  for (const node of model.nodes) {
    if (node.state !== 'live') continue;
    const summary = store.find(nameOf(node))!;
    const key = `${summary.cell}:${summary.nodeId}`;
    expectHolds(!nodeIds.has(key), () => `${node.name}: node id ${key} is used twice`);
    nodeIds.add(key);
    judgeParent(node, summary);
  }
}

function judgeParent(node: ModelNode, summary: NodeSummary): void {
  const { parent } = node;
  const expected = parent?.state === 'live' ? parent.name : undefined;
  expectHolds(
    summary.parentSnapshot === expected,
    () => `${node.name}: its parent is ${summary.parentSnapshot} instead of ${expected}`,
  );
  expectHolds(
    summary.childCount === node.children.size,
    () => `${node.name}: has ${summary.childCount} children instead of ${node.children.size}`,
  );
}

/** Exact sizes: every node alone, and some snapshots together. */
export async function judgeSpace(
  model: StoreModel,
  dependencies: { store: Store; contents: Contents; random: SeededRandom },
): Promise<void> {
  const { store, contents, random } = dependencies;
  const counter = new ModelSpaceCounter(model, contents);
  let slackMax = counter.hiddenSlackMax;
  for (const node of contents.keys()) {
    const found = await store.nodeSpace(nameOf(node));
    const expected = counter.spaceOf(node);
    const { slackBlocks } = found;
    const { atLeast } = expected.reclaimableBlocks;
    const atMost = expected.reclaimableBlocks.atMost + slackBlocks + counter.hiddenSlackMax;
    expectHolds(
      found.referencedBlocks - slackBlocks === expected.referencedBlocks,
      () =>
        `${node.name}: references ${found.referencedBlocks}, ${slackBlocks} of them slack, ` +
        `by count ${expected.referencedBlocks}`,
    );
    // The model does not know which slack is shared: that is counted by the checker.
    const uniqueData = expected.uniqueBlocks;
    expectHolds(
      found.uniqueBlocks >= uniqueData && found.uniqueBlocks <= uniqueData + slackBlocks,
      () =>
        `${node.name}: ${found.uniqueBlocks} are unique, by count ${uniqueData} and slack of ${slackBlocks}`,
    );
    slackMax += slackBlocks;
    expectHolds(
      found.reclaimableBlocks >= atLeast && found.reclaimableBlocks <= atMost,
      () => `${node.name}: frees ${found.reclaimableBlocks}, by count ${atLeast} to ${atMost}`,
    );
  }
  const snapshots = model.live('snapshot').filter(() => random.chance(0.5));
  const names = snapshots.map(({ name }) => name);
  const together = await store.reclaimableBlocks(names);
  const { atLeast, atMost } = counter.reclaimable(snapshots);
  expectHolds(
    together >= atLeast && together <= atMost + slackMax,
    () => `snapshots ${names.join()} free ${together} together, by count ${atLeast} to ${atMost}`,
  );
  const { sizeBlocks, allocatedBlocks, freeBlocks } = store.space();
  expectHolds(
    sizeBlocks === allocatedBlocks + freeBlocks,
    () => `space: ${sizeBlocks} blocks are not ${allocatedBlocks} allocated and ${freeBlocks} free`,
  );
  const { atLeast: dataBlocks } = counter.dataBlocks();
  expectHolds(
    allocatedBlocks >= dataBlocks,
    () => `space: ${allocatedBlocks} blocks are allocated, ${dataBlocks} hold data`,
  );
}

/** Blocks in use when no background work is left: exactly those that some node references, and metadata. */
export function judgeUsedBlocks(model: StoreModel, store: Store, contents: Contents): void {
  const { allocatedBlocks, metadataBlocks, pendingFreeBlocks } = store.space();
  const counter = new ModelSpaceCounter(model, contents);
  const { atLeast, atMost: dataMax } = counter.dataBlocks();
  let atMost = dataMax + counter.hiddenSlackMax;
  for (const node of contents.keys()) atMost += store.find(nameOf(node))!.slackBlocks;
  const dataBlocks = allocatedBlocks - metadataBlocks;
  expectHolds(pendingFreeBlocks === 0, () => `${pendingFreeBlocks} blocks still wait to be freed`);
  expectHolds(
    dataBlocks >= atLeast && dataBlocks <= atMost,
    () => `space: ${dataBlocks} blocks hold data, by count ${atLeast} to ${atMost}`,
  );
}

/** Extents: data where something was written, holes elsewhere. */
export async function judgeAllocation(store: Store, contents: Contents): Promise<void> {
  for (const [node, tokens] of contents) {
    const io = store.openIo(nameOf(node));
    let lbn = 0;
    while (lbn < node.sizeBlocks) {
      const extents = await io.allocation(lbn, node.sizeBlocks - lbn, 7);
      expectHolds(
        extents.length > 0 && extents.length <= 7,
        () => `${node.name}: ${extents.length} extents`,
      );
      for (const extent of extents) {
        expectHolds(extent.lbn === lbn, () => `${node.name}: extent at ${extent.lbn}, not ${lbn}`);
        for (let block = lbn; block < lbn + extent.blockCount; block++) {
          const expected = tokens[block] === 0 ? 'hole' : 'data';
          expectHolds(
            extent.state === expected,
            () => `${node.name}: block ${block} is a ${extent.state}, not ${expected}`,
          );
        }
        lbn += extent.blockCount;
      }
    }
    await io.close();
  }
}

/** Everything users can see, as one hash: two recoveries of one image must agree on it. */
export async function hashStore(
  model: StoreModel,
  store: Store,
  client: SimulatedClient,
): Promise<string> {
  const hash = createHash('sha256');
  for (const kind of ['volume', 'snapshot'] as const) {
    for (const summary of store.list(kind)) {
      hash.update(JSON.stringify({ ...summary, uuid: [...summary.uuid] }));
      hash.update(JSON.stringify(await store.nodeSpace(summary)));
      const node = model.find(summary);
      if (!node) continue;
      for (const { bytes } of await client.session.readAll(node)) hash.update(bytes);
    }
  }
  return hash.digest('hex');
}
