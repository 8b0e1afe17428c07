/**
 * An open pool: routes what is asked for to the cell of its family, and keeps the names.
 *
 * Each control operation checks and records in one go, without a wait between, so that none sees another half done;
 * then it waits until its records are durable, and only then the answer, and the name, are there (R9).
 */
import type { GroupOwners } from '../allocator/group-owners.ts';
import {
  attributesBytesMax,
  type JournalRecord,
  type NodePayload,
} from '../format/journal-record.ts';
import { birthMax } from '../format/dead-list.ts';
import { encodeText } from '../format/byte-fields.ts';
import { catalogRecordsPerPage } from '../format/catalog-record.ts';
import type { Superblock } from '../format/superblock.ts';
import { blocksToBytes, volumeSizeBlocksMax } from '../units.ts';
import type { Cell } from './cell.ts';
import { NodeNames, type NamedNode } from './node-names.ts';
import { reclaimableTogether, spaceOfNode } from './node-space.ts';
import { OpenNodeIo } from './io/open-node-io.ts';
import type { PoolDevices } from './pool-devices.ts';
import type { Deallocator } from './space/deallocator.ts';
import type * as api from './store-api.ts';
import type { StoreEnvironment } from './store-environment.ts';
import { StoreError } from './store-error.ts';
import type { TreeNode } from './tree-node.ts';

/** What an open pool works with. */
interface PoolStoreDependencies {
  readonly cells: readonly Cell[];
  readonly owners: GroupOwners;
  readonly environment: StoreEnvironment;
  readonly devices: PoolDevices;
  readonly deallocator: Deallocator | undefined;
}

/**
 * Pages that a control operation may dirty: catalog pages of three nodes with their tables, lists, attributes, a
 * table above the map.
 */
const controlPagesMax = 16;
/** Times that a control operation waits for a checkpoint to give space back. */
const spaceAttemptsMax = 4;

/** One open pool. */
export class PoolStore implements api.Store {
  readonly poolName: string;
  readonly poolUuid: Uint8Array;
  readonly #superblock: Superblock;
  readonly #cells: readonly Cell[];
  readonly #owners: GroupOwners;
  readonly #environment: StoreEnvironment;
  readonly #devices: PoolDevices;
  readonly #deallocator: Deallocator | undefined;
  readonly #names = new NodeNames();
  /** Highest epoch of each family, by cell and family. */
  readonly #epochs = new Map<string, number>();
  #isClosed = false;

  constructor(options: { superblock: Superblock }, dependencies: PoolStoreDependencies) {
    this.#superblock = options.superblock;
    this.poolName = options.superblock.poolName;
    this.poolUuid = options.superblock.poolUuid;
    this.#cells = dependencies.cells;
    this.#owners = dependencies.owners;
    this.#environment = dependencies.environment;
    this.#devices = dependencies.devices;
    this.#deallocator = dependencies.deallocator;
    for (const cell of this.#cells) {
      for (const node of cell.state.nodes.values()) this.#index(cell, node);
    }
  }

  get cellCount(): number {
    return this.#cells.length;
  }

  get readOnlyReason(): string | undefined {
    return this.#cells.find(({ failure }) => failure)?.failure?.message;
  }

  find(name: api.NodeName): api.NodeSummary | undefined {
    const named = this.#names.find(name);
    return named && summarize(named);
  }

  list(kind: api.NodeKind): readonly api.NodeSummary[] {
    return this.#names.list(kind).map(summarize);
  }

  async createVolume(options: api.CreateVolumeOptions): Promise<api.NodeSummary> {
    const action = `Creating volume "${options.name}"`;
    const name = { kind: 'volume', name: options.name } as const;
    checkSize(action, options.sizeBlocks);
    checkAttributes(action, options.attributes);
    const cell = this.#roomiestCell();
    this.#names.reserve(action, name);
    return this.#create(action, { name, cell }, () => {
      const [node] = this.#freeNodeIds(action, cell, 1);
      const family = cell.state.nextFamilyId;
      const payload = this.#payload(options);
      this.#epochs.set(`${cell.state.cell}:${family}`, 1);
      cell.record([{ op: 'create', node: node!, curEpoch: 1, family, payload }]);
      return cell.state.nodeOf(node!);
    });
  }

  async createSnapshot(options: api.CreateSnapshotOptions): Promise<api.NodeSummary> {
    const action = `Creating snapshot "${options.name}"`;
    const name = { kind: 'snapshot', name: options.name } as const;
    const source = { kind: 'volume', name: options.volume } as const;
    checkAttributes(action, options.attributes);
    const { cell } = this.#names.get(action, source);
    this.#names.reserve(action, name);
    return this.#create(action, { name, cell }, () => {
      const { node: head } = this.#names.get(action, source);
      const [node] = this.#freeNodeIds(action, cell, 1);
      const payload = this.#payload({ ...options, sizeBlocks: head.sizeBlocks });
      const [curEpoch] = this.#nextEpochs(action, cell, head, 1);
      const cut = { source: head.id, node: node!, curEpoch: curEpoch!, payload };
      cell.record([{ op: 'snapshot', ...cut }]);
      return cell.state.nodeOf(node!);
    });
  }

  async createClone(options: api.CreateCloneOptions): Promise<api.NodeSummary> {
    const action = `Creating volume "${options.name}" from ${options.source.kind} "${options.source.name}"`;
    const name = { kind: 'volume', name: options.name } as const;
    checkSize(action, options.sizeBlocks);
    checkAttributes(action, options.attributes);
    const { cell, node: source } = this.#names.get(action, options.source);
    if (options.sizeBlocks < source.sizeBlocks) {
      const reason = `${options.sizeBlocks} blocks are less than the source's ${source.sizeBlocks}`;
      throw new StoreError('out-of-range', `${action} failed: ${reason}`);
    }
    this.#names.reserve(action, name);
    return this.#create(action, { name, cell }, () => {
      const { node: now } = this.#names.get(action, options.source);
      const payload = this.#payload(options);
      return now.kind === 'snapshot'
        ? this.#cloneSnapshot(action, { cell, node: now }, payload)
        : this.#cloneVolume(action, { cell, node: now }, payload);
    });
  }

  async resize(volume: string, sizeBlocks: number): Promise<api.NodeSummary> {
    const action = `Resizing volume "${volume}"`;
    const name = { kind: 'volume', name: volume } as const;
    checkSize(action, sizeBlocks);
    const { cell } = this.#names.get(action, name);
    const node = await this.#whenAdmitted(action, cell, () => {
      const { node: now } = this.#names.get(action, name);
      if (sizeBlocks < now.sizeBlocks) {
        const reason = `${sizeBlocks} blocks are less than its ${now.sizeBlocks}, and volumes only grow`;
        throw new StoreError('out-of-range', `${action} failed: ${reason}`);
      }
      if (sizeBlocks > now.sizeBlocks) cell.record([{ op: 'resize', node: now.id, sizeBlocks }]);
      return now;
    });
    await this.#durable(cell);
    return summarize({ cell, node });
  }

  async setAttributes(name: api.NodeName, attributes: string): Promise<api.NodeSummary> {
    const action = `Changing attributes of ${name.kind} "${name.name}"`;
    checkAttributes(action, attributes);
    const { cell } = this.#names.get(action, name);
    const node = await this.#whenAdmitted(action, cell, () => {
      const { node: now } = this.#names.get(action, name);
      cell.record([{ op: 'attributes', node: now.id, attributes }]);
      return now;
    });
    await this.#durable(cell);
    return summarize({ cell, node });
  }

  async revert(volume: string, snapshot: string, attributes: string): Promise<api.NodeSummary> {
    const action = `Reverting volume "${volume}" to snapshot "${snapshot}"`;
    const name = { kind: 'volume', name: volume } as const;
    const target = { kind: 'snapshot', name: snapshot } as const;
    checkAttributes(action, attributes);
    const { cell } = this.#names.get(action, name);
    const record = () => {
      const { node: former } = this.#names.get(action, name);
      const { node: source } = this.#names.get(action, target);
      checkClosed(action, former);
      checkRevert(action, former, source);
      const [node] = this.#freeNodeIds(action, cell, 1);
      const [curEpoch] = this.#nextEpochs(action, cell, source, 1);
      const change = { node: node!, curEpoch: curEpoch!, attributes };
      this.#names.hide(name, 'reverting');
      cell.record([{ op: 'revert', source: former.id, snapshot: source.id, ...change }]);
      return cell.state.nodeOf(node!);
    };
    const pages = () => cell.state.deletePages(this.#names.get(action, name).node);
    const head = await this.#whenAdmitted(action, cell, record, { pages });
    // If the cell fails now, nobody knows which content the volume has until the pool is opened again: it stays hidden.
    await this.#durable(cell);
    this.#names.put(name, { cell, node: head });
    return summarize({ cell, node: head });
  }

  async deleteNode(name: api.NodeName): Promise<void> {
    const action = `Deleting ${name.kind} "${name.name}"`;
    const { cell } = this.#names.get(action, name);
    const record = () => {
      const { node } = this.#names.get(action, name);
      checkClosed(action, node);
      this.#names.hide(name, 'deleting');
      cell.record([{ op: 'delete', node: node.id }]);
    };
    const pages = () => cell.state.deletePages(this.#names.get(action, name).node);
    await this.#whenAdmitted(action, cell, record, { isDelete: true, pages });
    await this.#durable(cell);
    this.#names.free(name);
  }

  space(): api.StoreSpace {
    const { geometry, devices } = this.#superblock;
    const groupCount = devices.reduce((sum, device) => sum + device.groupCount, 0);
    const sizeBlocks = groupCount * geometry.groupBlocks;
    const total = (count: (cell: Cell) => number) =>
      this.#cells.reduce((sum, cell) => sum + count(cell), 0);
    const allocatedBlocks = total(({ state }) => state.allocator.allocatedCount);
    return {
      sizeBlocks,
      allocatedBlocks,
      freeBlocks: sizeBlocks - allocatedBlocks,
      metadataBlocks: total(({ state }) => state.allocator.metadataCount),
      slackBlocks: total(({ state }) => state.slackBlocks),
      reservedBlocks: geometry.reserveBlocks * geometry.cellCount,
      pendingFreeBlocks: total(({ background }) => background.pendingBlocks),
    };
  }

  async nodeSpace(name: api.NodeName): Promise<api.NodeSpace> {
    const { cell, node } = this.#names.get(`Measuring ${name.kind} "${name.name}"`, name);
    return spaceOfNode(cell, node);
  }

  async reclaimableBlocks(snapshots: readonly string[]): Promise<number> {
    const byCell = new Map<Cell, TreeNode[]>();
    for (const name of new Set(snapshots)) {
      const action = `Measuring snapshot "${name}"`;
      const { cell, node } = this.#names.get(action, { kind: 'snapshot', name });
      byCell.set(cell, [...(byCell.get(cell) ?? []), node]);
    }
    let blocks = 0;
    for (const [cell, nodes] of byCell) blocks += reclaimableTogether(cell, nodes);
    return blocks;
  }

  counters(): api.StoreCounters {
    const total = (count: (cell: Cell) => number) =>
      this.#cells.reduce((sum, cell) => sum + count(cell), 0);
    return {
      journalBlocksWritten: total(({ journal }) => journal.blocksWritten),
      journalRecords: total(({ journal }) => journal.recordsWritten),
      checkpoints: total(({ checkpointer }) => checkpointer.checkpoints),
      metadataPagesWritten: total(({ checkpointer }) => checkpointer.pagesWritten),
      deviceFlushes: this.#devices.flushCount,
      dataBlocksWritten: total((cell) => cell.dataBlocksWritten),
      dataBlocksRead: total((cell) => cell.dataBlocksRead),
      groupsTaken: total(({ space }) => space.groupsTaken),
      groupsReturned: total(({ space }) => space.groupsReturned),
      groupRequests: total((cell) => cell.groupRequests),
      backgroundFailures: total(({ background }) => background.failures),
      deallocatedBytes: blocksToBytes(this.#deallocator?.deallocatedBlocks ?? 0),
      deallocateFailures: this.#deallocator?.failures ?? 0,
      healedClusters: total(({ healer }) => healer.healedClusters),
      harvestedBlocks: total(({ harvest }) => harvest.harvestedBlocks),
      mapHits: total(({ state }) => state.pages.counters.hits),
      mapMisses: total(({ state }) => state.pages.counters.misses),
      mapEvictions: total(({ state }) => state.pages.counters.evictions),
    };
  }

  mapMemory(): api.MapMemory {
    const total = (count: (cell: Cell) => number) =>
      this.#cells.reduce((sum, cell) => sum + count(cell), 0);
    return {
      budgetBytes: blocksToBytes(total(({ state }) => state.pages.pagesMax)),
      residentBytes: blocksToBytes(total(({ state }) => state.pages.counters.residentPages)),
    };
  }

  openIo(name: api.NodeName): api.NodeIo {
    const { cell, node } = this.#names.get(`Opening ${name.kind} "${name.name}"`, name);
    const readOnly = cell.failure !== undefined;
    return new OpenNodeIo({ readOnly }, { node, cell, environment: this.#environment });
  }

  async checkpoint(): Promise<void> {
    for (const cell of this.#cells) await cell.checkpoint();
  }

  async drainBackgroundWork(): Promise<void> {
    for (const cell of this.#cells) await cell.background.idle();
  }

  async healClusters(): Promise<void> {
    for (const cell of this.#cells) await cell.healer.heal();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    try {
      for (const cell of this.#cells) cell.stopBackground();
      this.#deallocator?.stop();
      for (const cell of this.#cells) {
        await cell.tracker.drain();
        if (!cell.failure) await cell.checkpoint();
      }
    } finally {
      // Also if the last checkpoint of a cell fails: the others must not go on behind the caller's back.
      this.destroy();
      await this.#devices.stop();
    }
  }

  destroy(): void {
    this.#isClosed = true;
    for (const cell of this.#cells) cell.stop();
    this.#deallocator?.stop();
    void this.#devices.stop();
  }

  #index(cell: Cell, node: TreeNode): void {
    const key = `${cell.state.cell}:${node.family}`;
    const epoch = Math.max(node.epoch, node.curEpoch, this.#epochs.get(key) ?? 0);
    this.#epochs.set(key, epoch);
    if (!node.isDeleted) this.#names.put(node, { cell, node });
  }

  /** Records a creation, waits until it is durable, then shows it. A failure frees the name. */
  async #create(
    action: string,
    { name, cell }: { name: api.NodeName; cell: Cell },
    record: () => TreeNode,
  ): Promise<api.NodeSummary> {
    let isRecorded = false;
    try {
      const node = await this.#whenAdmitted(action, cell, record);
      isRecorded = true;
      await this.#durable(cell, node.kind === 'snapshot' || node.parent?.name === '');
      this.#names.put(name, { cell, node });
      return summarize({ cell, node });
    } catch (error) {
      // What is recorded may survive: its name stays taken until the pool is opened again.
      if (!isRecorded) this.#names.free(name);
      throw error;
    }
  }

  #cloneSnapshot(action: string, source: NamedNode, payload: NodePayload): TreeNode {
    const { cell, node: snapshot } = source;
    const [node] = this.#freeNodeIds(action, cell, 1);
    const [curEpoch] = this.#nextEpochs(action, cell, snapshot, 1);
    const clone = { source: snapshot.id, node: node!, curEpoch: curEpoch!, payload };
    cell.record([{ op: 'clone', ...clone }]);
    return cell.state.nodeOf(node!);
  }

  /** A snapshot that nobody sees, a clone of it, and its deletion: in one block (J12). */
  #cloneVolume(action: string, source: NamedNode, payload: NodePayload): TreeNode {
    const { cell, node: head } = source;
    const [hidden, node] = this.#freeNodeIds(action, cell, 2);
    const [headEpoch, curEpoch] = this.#nextEpochs(action, cell, head, 2);
    const uuid = this.#environment.randomUuid();
    const unnamed = { ...payload, uuid, name: '', attributes: '', sizeBlocks: head.sizeBlocks };
    const records: JournalRecord[] = [
      { op: 'snapshot', source: head.id, node: hidden!, curEpoch: headEpoch!, payload: unnamed },
      { op: 'clone', source: hidden!, node: node!, curEpoch: curEpoch!, payload },
      { op: 'delete', node: hidden! },
    ];
    cell.record(records);
    return cell.state.nodeOf(node!);
  }

  #payload(options: Omit<NodePayload, 'createdMs'>): NodePayload {
    const { uuid, sizeBlocks, name, attributes } = options;
    return { uuid, sizeBlocks, name, attributes, createdMs: this.#environment.nowMs() };
  }

  #roomiestCell(): Cell {
    const unowned = this.#owners.unownedCount * this.#superblock.geometry.groupBlocks;
    const free = (cell: Cell) => cell.state.allocator.availableCount + unowned;
    const usable = this.#cells.filter((cell) => !cell.failure);
    const cells = usable.length > 0 ? usable : this.#cells;
    // With equal room, the cell with fewer nodes.
    const [best] = cells.toSorted(
      (a, b) => free(b) - free(a) || a.state.nodes.size - b.state.nodes.size,
    );
    return best!;
  }

  #freeNodeIds(action: string, cell: Cell, count: number): number[] {
    const idMax = this.#superblock.geometry.tableFanOut ** 2 * catalogRecordsPerPage;
    const ids = cell.state.freeNodeIds(count, idMax);
    if (ids.length === count) return ids;
    const reason = `cell ${cell.state.cell} holds ${idMax} volumes and snapshots, the most that it can`;
    throw new StoreError('insufficient-space', `${action} failed: ${reason}`);
  }

  #nextEpochs(action: string, cell: Cell, node: TreeNode, count: number): number[] {
    const key = `${cell.state.cell}:${node.family}`;
    const last = this.#epochs.get(key) ?? 0;
    if (last + count > birthMax) {
      const reason = `its family has had ${last} snapshots and clones, the most that it can`;
      throw new StoreError('out-of-range', `${action} failed: ${reason}`);
    }
    this.#epochs.set(key, last + count);
    return Array.from({ length: count }, (_, index) => last + index + 1);
  }

  /**
   * Waits for room in the journal and for space, and records at once, before anybody else is admitted to the same
   * space; deletes may use the reserve. @throws StoreError `insufficient-space`
   */
  async #whenAdmitted<Result>(
    action: string,
    cell: Cell,
    record: () => Result,
    options: { readonly isDelete?: boolean; readonly pages?: () => number } = {},
  ): Promise<Result> {
    if (this.#isClosed) throw new StoreError('unavailable', `${action} failed: the pool is closed`);
    const { isDelete = false } = options;
    for (let attempt = 0; ; attempt++) {
      if (!isDelete) await new Promise<void>((resolve) => cell.whenRingHasRoom(resolve));
      if (cell.failure) throw cell.failure;
      const { space } = cell;
      const pages = controlPagesMax + (options.pages?.() ?? 0);
      if (isDelete ? space.admitsDelete(pages) : space.admits(0, pages)) return record();
      if (attempt === spaceAttemptsMax) {
        throw new StoreError('insufficient-space', `${action} failed: the pool is full`);
      }
      await cell.reclaimSpace();
    }
  }

  #durable(cell: Cell, isCut = false): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (error: StoreError | null) => (error ? reject(error) : resolve());
      if (isCut) cell.commitCut(done);
      else cell.commit(done);
    });
  }
}

function summarize({ cell, node }: NamedNode): api.NodeSummary {
  const { parent } = node;
  return {
    kind: node.kind,
    name: node.name,
    nodeId: node.id,
    cell: cell.state.cell,
    family: node.family,
    uuid: node.uuid,
    sizeBlocks: node.sizeBlocks,
    createdMs: node.createdMs,
    parentSnapshot: parent && !parent.isDeleted ? parent.name : undefined,
    childCount: node.children.size,
    referencedBlocks: node.referencedBlocks,
    slackBlocks: node.slackBlocks,
    attributes: node.attributes,
  };
}

function checkSize(action: string, sizeBlocks: number): void {
  if (Number.isInteger(sizeBlocks) && sizeBlocks >= 1 && sizeBlocks <= volumeSizeBlocksMax) return;
  const reason = `${sizeBlocks} blocks: 1 to ${volumeSizeBlocksMax} are allowed`;
  throw new StoreError('out-of-range', `${action} failed: ${reason}`);
}

function checkAttributes(action: string, attributes: string): void {
  const { length } = encodeText(attributes);
  if (length <= attributesBytesMax) return;
  const reason = `its attributes have ${length} bytes: at most ${attributesBytesMax} are allowed`;
  throw new StoreError('out-of-range', `${action} failed: ${reason}`);
}

function checkClosed(action: string, node: TreeNode): void {
  if (node.openCount === 0) return;
  const reason = `it is open ${node.openCount} times`;
  throw new StoreError('failed-precondition', `${action} failed: ${reason}`);
}

function checkRevert(action: string, volume: TreeNode, snapshot: TreeNode): void {
  if (volume.family !== snapshot.family) {
    throw new StoreError(
      'failed-precondition',
      `${action} failed: it is a snapshot of another volume`,
    );
  }
  if (snapshot.sizeBlocks > volume.sizeBlocks) {
    throw new StoreError(
      'out-of-range',
      `${action} failed: the snapshot is larger than the volume`,
    );
  }
}
