/**
 * Makes split clusters natural again when nobody is in a hurry: what a snapshot has split is copied to 16 blocks in a
 * row, once all 16 are the volume's own. It is background work: behind users' I/O, a bounded number of clusters per
 * interval, and only while there is room.
 *
 * Writes in place change blocks without a record. So the cluster is held against them, those under way are waited for,
 * and none begins before the HEAL record is applied.
 */
import { splitOf } from '../../map/leaf-entries.ts';
import type { SplitRecord } from '../../format/map-leaf.ts';
import { blockSizeBytes, clusterSizeBlocks } from '../../units.ts';
import type { WorkedCell } from './worked-cell.ts';
import type { HealOptions } from '../store-api.ts';
import type { CancelTimer, StoreEnvironment } from '../store-environment.ts';
import type { TreeNode } from '../tree-node.ts';
import { LeafScan, type ScannedLeaf } from './leaf-scan.ts';

const defaultIntervalMs = 1000;
/** 16 MiB read and written per interval at most. */
const defaultClustersMax = 256;
/** Blocks of users' I/O in an interval up to which a cell counts as idle. */
const defaultIdleBlocksMax = 256;
/** Leaves looked at per interval: 1 GiB of volumes. */
const leavesMax = 64;
/** Healing stops where less than this is free: natural clusters would be split again soon. */
const usedShareMax = 0.8;

interface Candidate {
  readonly node: TreeNode;
  readonly cluster: number;
}

/** Heals in one cell. */
export class ClusterHealer {
  readonly #options: HealOptions;
  readonly #cell: WorkedCell;
  readonly #environment: StoreEnvironment;
  readonly #scan: LeafScan;
  #cancelTimer: CancelTimer | undefined;
  #isStopped = false;
  #isRunning = false;
  #blocksSeen = 0;
  /** Records when the present scan began, and when the last one that found nothing did. */
  #scanBegan = -1;
  #cleanSince = -1;
  #foundAny = false;
  /** Clusters healed so far. */
  healedClusters = 0;

  constructor(
    options: HealOptions,
    dependencies: { cell: WorkedCell; environment: StoreEnvironment },
  ) {
    const { cell, environment } = dependencies;
    this.#options = options;
    this.#cell = cell;
    this.#environment = environment;
    this.#scan = new LeafScan({ cell, wants: () => true });
  }

  /** Begins to look for split clusters. */
  start(): void {
    this.#arm();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelTimer?.();
  }

  #arm(): void {
    const delayMs = this.#options.intervalMs ?? defaultIntervalMs;
    this.#cancelTimer = this.#environment.after(delayMs, () => {
      void this.#tick().finally(() => {
        if (!this.#isStopped) this.#arm();
      });
    });
  }

  async #tick(): Promise<void> {
    const blocks = this.#cell.dataBlocksRead + this.#cell.dataBlocksWritten;
    const isIdle =
      blocks - this.#blocksSeen <= (this.#options.idleBlocksMax ?? defaultIdleBlocksMax);
    this.#blocksSeen = blocks;
    // Nothing has changed since all was looked at and nothing found.
    const isClean = this.#cell.state.recordNumber === this.#cleanSince;
    if (isIdle && !isClean && this.#mayHeal) await this.heal();
  }

  get #mayHeal(): boolean {
    const cell = this.#cell;
    return (
      !this.#isStopped &&
      !cell.isStopped &&
      !cell.failure &&
      !cell.isRingFull &&
      !cell.background.hasWork &&
      cell.space.usedShare < usedShareMax
    );
  }

  /** One interval's worth of healing. */
  async heal(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      const candidates: Candidate[] = [];
      const clustersMax = this.#options.clustersMax ?? defaultClustersMax;
      for (let leaves = 0; leaves < leavesMax && candidates.length < clustersMax; leaves++) {
        if (this.#scanBegan < 0) this.#beginScan();
        const isMore = await this.#scan.visitNext((leaf) => candidates.push(...findSplit(leaf)));
        if (candidates.length > 0) this.#foundAny = true;
        if (!isMore) {
          if (!this.#foundAny) this.#cleanSince = this.#scanBegan;
          this.#scanBegan = -1;
          break;
        }
      }
      for (const candidate of candidates.slice(0, clustersMax)) {
        if (!this.#mayHeal) return;
        await this.#healCluster(candidate);
      }
    } finally {
      this.#isRunning = false;
    }
  }

  #beginScan(): void {
    this.#scan.restart();
    this.#scanBegan = this.#cell.state.recordNumber;
    this.#foundAny = false;
  }

  async #healCluster({ node, cluster }: Candidate): Promise<void> {
    if (node.locks.isLocked(cluster)) return;
    node.locks.hold(cluster);
    try {
      const { inPlaceTracker } = this.#cell;
      const mark = inPlaceTracker.mark();
      await new Promise<void>((resolve) => inPlaceTracker.whenEnded(mark, resolve));
      await this.#copy({ node, cluster });
    } finally {
      node.locks.unlock(cluster);
    }
  }

  async #copy({ node, cluster }: Candidate): Promise<void> {
    const { space, state } = this.#cell;
    const source = await this.#findOwn({ node, cluster }, (split) =>
      split.slice(0, clusterSizeBlocks),
    );
    // The leaf and its path; that a page of split records goes is not counted.
    const pages = node.level + 2 + state.cleanListPages(node);
    if (!source || !this.#mayHeal || !space.admits(clusterSizeBlocks, pages)) return;
    const [run] = state.allocator.reserveClusters(1) ?? [];
    if (!run) return;
    const promise = space.promise(pages);
    const bytes = new Uint8Array(clusterSizeBlocks * blockSizeBytes);
    const isCopied = (await this.#read(source, bytes)) && (await this.#write(run.pbn, bytes));
    const record = {
      op: 'heal',
      node: node.id,
      cluster,
      base: run.pbn / clusterSizeBlocks,
    } as const;
    const isHealed =
      isCopied &&
      (await this.#findOwn({ node, cluster }, () => {
        this.#cell.record([record]);
        return true;
      }));
    promise.keep();
    if (isHealed) this.healedClusters++;
    else if (!this.#cell.isStopped) state.allocator.releaseReservation(run);
  }

  /**
   * Calls `use` in the turn in which the cluster's entry is in memory, if all of its blocks are there and the volume's
   * own still; undefined if not, or if it cannot be read.
   */
  #findOwn<Result>(
    { node, cluster }: Candidate,
    use: (split: SplitRecord) => Result,
  ): Promise<Result | undefined> {
    const { state, residency } = this.#cell;
    const lbn = cluster * clusterSizeBlocks;
    const isThere = () => state.nodes.get(node.id) === node && !node.isDeleted;
    return new Promise((resolve) => {
      residency.ensureFound(
        () => (isThere() ? state.residency.findMissing(node, lbn, clusterSizeBlocks) : undefined),
        (error) => {
          const isUsable = !error && isThere() && !this.#isStopped && !this.#cell.failure;
          const leaf = isUsable ? state.tree.leafOf(node, lbn) : undefined;
          const split = leaf && splitOf(leaf, state.tree.clusterIndexOf(lbn));
          resolve(split && isAllOwn(split, node.parentEpoch) ? use(split) : undefined);
        },
      );
    });
  }

  async #read(pbns: Uint32Array, bytes: Uint8Array): Promise<boolean> {
    const reads: Promise<boolean>[] = [];
    for (let block = 0; block < clusterSizeBlocks;) {
      let end = block + 1;
      while (end < clusterSizeBlocks && pbns[end] === pbns[block]! + end - block) end++;
      const part = bytes.subarray(block * blockSizeBytes, end * blockSizeBytes);
      reads.push(this.#io((done) => this.#cell.devices.read(pbns[block]!, part, done)));
      block = end;
    }
    return (await Promise.all(reads)).every((isRead) => isRead);
  }

  #write(pbn: number, bytes: Uint8Array): Promise<boolean> {
    if (this.#isStopped || this.#cell.failure) return Promise.resolve(false);
    return this.#io((done) => this.#cell.devices.write(pbn, bytes, false, done));
  }

  /** An I/O that what is freed waits for (R11). */
  #io(submit: (done: (error: unknown) => void) => void): Promise<boolean> {
    const generation = this.#cell.tracker.begin();
    return new Promise((resolve) => {
      submit((error) => {
        this.#cell.endIo(generation);
        resolve(!error);
      });
    });
  }
}

function findSplit({ node, leaf, firstCluster }: ScannedLeaf): Candidate[] {
  const found: Candidate[] = [];
  for (const [cluster, splitIndex] of leaf.leaf.splitIndex.entries()) {
    const split = splitIndex < 0 ? undefined : splitOf(leaf, cluster);
    if (split && isAllOwn(split, node.parentEpoch)) {
      found.push({ node, cluster: firstCluster + cluster });
    }
  }
  return found;
}

function isAllOwn(split: SplitRecord, bound: number): boolean {
  for (let block = 0; block < clusterSizeBlocks; block++) {
    if (split[block] === 0 || split[clusterSizeBlocks + block]! <= bound) return false;
  }
  return true;
}
