/**
 * Gives the slack of natural clusters up when the pool is full (2.6): a SPLIT record per cluster, which frees the
 * blocks that hold no data. What others share is no use: it would only move to a dead list.
 */
import { countBits, wholeMask } from '../../format/map-leaf.ts';
import { clusterSizeBlocks } from '../../units.ts';
import type { WorkedCell } from './worked-cell.ts';
import type { StoreEnvironment } from '../store-environment.ts';
import { LeafScan, type ScannedLeaf } from './leaf-scan.ts';

/** Blocks given up in one go: 16 MiB, so that a full pool does not lose all of its natural clusters at once. */
const blocksPerRun = 4096;

/** Harvests in one cell. */
export class SlackHarvest {
  readonly #cell: WorkedCell;
  readonly #environment: StoreEnvironment;
  readonly #scan: LeafScan;
  #running: Promise<void> | undefined;
  /** When nothing was left to give up: the slack and the tree of then. */
  #exhausted: { readonly slackBlocks: number; readonly treeVersion: number } | undefined;
  /** Some clusters were locked, or their split records found no room: they are worth another look. */
  #isPartial = false;
  /** Blocks given up so far. */
  harvestedBlocks = 0;

  constructor(dependencies: { cell: WorkedCell; environment: StoreEnvironment }) {
    const { cell, environment } = dependencies;
    this.#cell = cell;
    this.#environment = environment;
    this.#scan = new LeafScan({ cell, wants: ({ slackBlocks }) => slackBlocks > 0 });
  }

  /** True if there may be slack to give up. */
  get hasSlack(): boolean {
    const { slackBlocks, treeVersion } = this.#cell.state;
    if (slackBlocks === 0) return false;
    const { slackBlocks: left = 0, treeVersion: version } = this.#exhausted ?? {};
    return slackBlocks > left || treeVersion !== version;
  }

  /** Gives some slack up, if there is any. Several may ask at once. */
  run(): Promise<void> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #run(): Promise<void> {
    if (!this.hasSlack) return;
    const { slackBlocks, treeVersion } = this.#cell.state;
    const before = this.harvestedBlocks;
    this.#scan.restart();
    this.#isPartial = false;
    while (this.harvestedBlocks - before < blocksPerRun) {
      await new Promise<void>((resolve) => this.#cell.whenRingHasRoom(resolve));
      if (this.#cell.failure || this.#cell.isStopped) return;
      if (!(await this.#scan.visitNext((leaf) => this.#harvest(leaf)))) {
        const left = Math.max(0, slackBlocks - (this.harvestedBlocks - before));
        if (!this.#isPartial) this.#exhausted = { slackBlocks: left, treeVersion };
        return;
      }
      await this.#environment.yieldTurn();
    }
  }

  #harvest({ node, leaf, firstCluster }: ScannedLeaf): void {
    const { base, validMask, birth } = leaf.leaf;
    // The leaf, which is the volume's own if a cluster in it is, its path, and a page of split records.
    const pages = node.level + 2;
    for (const cluster of base.keys()) {
      const hasSlack = base[cluster] !== 0 && validMask[cluster] !== wholeMask;
      if (!hasSlack || birth[cluster]! <= node.parentEpoch) continue;
      if (node.locks.isLocked(firstCluster + cluster)) {
        this.#isPartial = true;
        continue;
      }
      if (!this.#cell.space.admitsFreeing(pages)) {
        this.#isPartial = true;
        return;
      }
      this.harvestedBlocks += clusterSizeBlocks - countBits(validMask[cluster]!);
      this.#cell.record([{ op: 'split', node: node.id, cluster: firstCluster + cluster }]);
    }
  }
}
