/**
 * Seeded random histories: which operation comes next, on what. Few blocks are hot, so that reads, writes, discards,
 * FUA and flushes overlap on the same blocks all the time; few names are used, so that names come back.
 */
import type { SeededRandom } from '../seeded-random.ts';
import type { BlockRange, SimulatedClient } from './simulated-client.ts';
import type { ModelNode, StoreModel } from '../model/store-model.ts';

/** Relative frequency of each operation. */
export interface OperationWeights {
  write: number;
  read: number;
  discard: number;
  writeZeroes: number;
  flush: number;
  createVolume: number;
  createSnapshot: number;
  cloneSnapshot: number;
  cloneVolume: number;
  deleteSnapshot: number;
  deleteVolume: number;
  revert: number;
  resize: number;
  setAttributes: number;
  verify: number;
  checkpoint: number;
  misuse: number;
  reuseName: number;
}

/** Shape of a history. */
export interface HistoryOptions {
  readonly weights: OperationWeights;
  readonly volumesMax: number;
  readonly snapshotsMax: number;
  /** Sizes of volumes are drawn up to here. */
  readonly volumeBlocksMax: number;
  /** Most I/O goes to the first so many blocks of a volume. */
  readonly hotBlocks: number;
  readonly rangeBlocksMax: number;
  readonly fuaChance: number;
  /** How often attributes have up to three thousand bytes. */
  readonly longAttributesChance: number;
}

/** The usual mixture. */
export const usualWeights: OperationWeights = {
  write: 40,
  read: 8,
  discard: 5,
  writeZeroes: 2,
  flush: 8,
  createVolume: 3,
  createSnapshot: 7,
  cloneSnapshot: 4,
  cloneVolume: 2,
  deleteSnapshot: 6,
  deleteVolume: 2.5,
  revert: 2,
  resize: 1,
  setAttributes: 2,
  verify: 1,
  checkpoint: 1.5,
  misuse: 0.5,
  reuseName: 0,
};

/** Share of I/O that goes to the hot blocks. */
const hotChance = 0.8;
/** Names in use at least: few, so that they come back. */
const namesMin = 64;

/** Chooses operations. */
export class History {
  readonly #options: HistoryOptions;
  readonly #client: SimulatedClient;
  readonly #model: StoreModel;
  readonly #random: SeededRandom;
  #attributeNumber = 0;

  constructor(
    options: HistoryOptions,
    dependencies: { client: SimulatedClient; model: StoreModel; random: SeededRandom },
  ) {
    this.#options = options;
    this.#client = dependencies.client;
    this.#model = dependencies.model;
    this.#random = dependencies.random;
  }

  /** Asks for one more operation; does nothing if the chosen one has no object now. */
  issueOne(): void {
    const volumes = this.#model.live('volume');
    if (volumes.length === 0) {
      this.#createVolume();
      return;
    }
    const operation = this.#random.weighted({ ...this.#options.weights });
    this.#actions[operation](volumes);
  }

  readonly #actions: Record<keyof OperationWeights, (volumes: readonly ModelNode[]) => void> = {
    write: (volumes) =>
      this.#onRange(volumes, (volume, range) => this.#client.write(volume, range, this.#fua())),
    read: (volumes) => this.#onRange(volumes, (volume, range) => this.#client.read(volume, range)),
    discard: (volumes) =>
      this.#onRange(volumes, (volume, range) => this.#client.discard(volume, range)),
    writeZeroes: (volumes) =>
      this.#onRange(volumes, (volume, range) =>
        this.#client.writeZeroes(volume, range, this.#fua()),
      ),
    flush: (volumes) => this.#on(open(volumes), (volume) => this.#client.flush(volume)),
    createVolume: () => this.#createVolume(),
    createSnapshot: (volumes) => this.#createSnapshot(volumes),
    cloneSnapshot: () => this.#clone(this.#model.live('snapshot').filter((node) => !node.cut)),
    cloneVolume: (volumes) => this.#clone(free(volumes)),
    deleteSnapshot: () =>
      this.#on(free(this.#model.live('snapshot')), (node) => this.#client.deleteNode(node)),
    deleteVolume: (volumes) => {
      if (volumes.length > 1) this.#on(free(volumes), (node) => this.#client.deleteNode(node));
    },
    revert: (volumes) => this.#on(free(volumes), (volume) => this.#revert(volume)),
    resize: (volumes) => this.#on(free(volumes), (volume) => this.#resize(volume)),
    setAttributes: (volumes) =>
      this.#on(free([...volumes, ...this.#model.live('snapshot')]), (node) =>
        this.#client.setAttributes(node, this.#attributes()),
      ),
    verify: (volumes) =>
      this.#on(free([...volumes, ...this.#model.live('snapshot')]), (node) =>
        this.#client.verify(node),
      ),
    checkpoint: () => this.#client.checkpoint(),
    misuse: (volumes) => this.#on(open(free(volumes)), (volume) => this.#client.misuse(volume)),
    reuseName: () =>
      this.#on([...this.#model.nodes].filter(isVolumeBeingDeleted), (volume) =>
        this.#client.reuseName(volume),
      ),
  };

  #createVolume(): void {
    if (this.#countNodes('volume') >= this.#options.volumesMax) return;
    const name = this.#freeName('volume');
    const sizeBlocks = this.#random.between(1, this.#options.volumeBlocksMax);
    this.#client.createVolume({ name, sizeBlocks, attributes: this.#attributes() });
  }

  #createSnapshot(volumes: readonly ModelNode[]): void {
    if (this.#countNodes('snapshot') >= this.#options.snapshotsMax) return;
    this.#on(free(volumes), (volume) => {
      const fields = { name: this.#freeName('snapshot'), attributes: this.#attributes() };
      this.#client.createSnapshot(volume, fields);
    });
  }

  #clone(sources: readonly ModelNode[]): void {
    if (this.#countNodes('volume') >= this.#options.volumesMax) return;
    this.#on(free(sources), (source) => {
      const extraBlocks = this.#random.chance(0.2) ? this.#random.below(20) : 0;
      this.#client.createClone(source, {
        name: this.#freeName('volume'),
        sizeBlocks: source.sizeBlocks + extraBlocks,
        attributes: this.#attributes(),
      });
    });
  }

  /** Back to an ancestor, the nearest most often. */
  #revert(volume: ModelNode): void {
    let snapshot = volume.parent;
    while (
      snapshot &&
      (snapshot.state !== 'live' || snapshot.isLocked || this.#random.chance(0.2))
    ) {
      snapshot = snapshot.parent;
    }
    if (!snapshot || snapshot.cut || snapshot.sizeBlocks > volume.sizeBlocks) return;
    this.#client.revert(volume, snapshot, this.#attributes());
  }

  #resize(volume: ModelNode): void {
    const growth = this.#random.pick([0, 1, 7, 40]);
    if (volume.sizeBlocks + growth > this.#options.volumeBlocksMax * 2) return;
    this.#client.resize(volume, volume.sizeBlocks + growth);
  }

  #on(nodes: readonly ModelNode[], act: (node: ModelNode) => void): void {
    if (nodes.length > 0) act(this.#random.pick(nodes));
  }

  #onRange(
    volumes: readonly ModelNode[],
    act: (volume: ModelNode, range: BlockRange) => void,
  ): void {
    this.#on(open(volumes), (volume) => act(volume, this.#range(volume.sizeBlocks)));
  }

  #range(sizeBlocks: number): BlockRange {
    const isHot = this.#random.chance(hotChance);
    const limit = isHot ? Math.min(this.#options.hotBlocks, sizeBlocks) : sizeBlocks;
    const lbn = this.#random.below(limit);
    const longest = Math.min(this.#options.rangeBlocksMax, sizeBlocks - lbn);
    const blockCount = this.#random.chance(0.6) ? 1 : this.#random.between(1, longest);
    return { lbn, blockCount };
  }

  #fua(): boolean {
    return this.#random.chance(this.#options.fuaChance);
  }

  #attributes(): string {
    this.#attributeNumber++;
    const tag = `${this.#random.next32()}-${this.#attributeNumber}`;
    const isLong = this.#random.chance(this.#options.longAttributesChance);
    const padding = isLong ? 'x'.repeat(this.#random.below(3000)) : '';
    return JSON.stringify({ padding, tag });
  }

  #freeName(kind: 'volume' | 'snapshot'): string {
    const { volumesMax, snapshotsMax } = this.#options;
    const nameCount = Math.max(namesMin, 2 * (volumesMax + snapshotsMax));
    for (;;) {
      const name = `${kind[0]}${this.#random.below(nameCount)}`;
      if (!this.#model.find({ kind, name })) return name;
    }
  }

  #countNodes(kind: 'volume' | 'snapshot'): number {
    let count = 0;
    for (const node of this.#model.nodes) {
      if (node.kind === kind && node.state !== 'hidden') count++;
    }
    return count;
  }
}

function isVolumeBeingDeleted({ kind, state }: ModelNode): boolean {
  return kind === 'volume' && state === 'deleting';
}

function free(nodes: readonly ModelNode[]): ModelNode[] {
  return nodes.filter((node) => !node.isLocked);
}

function open(volumes: readonly ModelNode[]): ModelNode[] {
  return volumes.filter((volume) => !volume.refusesIo && !volume.cut);
}
