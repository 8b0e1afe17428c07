/** Blocks, nodes and block I/O of the memory store. */
import { assert } from '@varve/common/assert';

import type {
  AllocationExtent,
  IoCompletion,
  NodeIo,
  NodeKind,
  StoreSpace,
} from '../store/store-api.ts';
import { StoreError } from '../store/store-error.ts';
import { blockSizeBytes, bytesToBlocks } from '../units.ts';

/** One stored block: never changed once written, shared by all nodes that show it. */
interface MemoryBlock {
  readonly bytes: Uint8Array;
  referenceCount: number;
}

type BlockMap = Map<number, MemoryBlock>;

/** A volume or snapshot. */
export interface MemoryNode {
  readonly nodeId: number;
  readonly family: number;
  readonly kind: NodeKind;
  readonly name: string;
  readonly uuid: Uint8Array;
  readonly createdMs: number;
  readonly openIos: Set<NodeIo>;
  sizeBlocks: number;
  attributes: string;
  blocks: BlockMap;
  parent: MemoryNode | undefined;
  isDeleted: boolean;
}

/** All blocks together, counted. */
export class MemoryPool {
  blocksRead = 0;
  blocksWritten = 0;
  readonly #sizeBlocks: number;
  #allocatedBlocks = 0;

  constructor(sizeBlocks: number) {
    this.#sizeBlocks = sizeBlocks;
  }

  space(): StoreSpace {
    return {
      sizeBlocks: this.#sizeBlocks,
      freeBlocks: this.#sizeBlocks - this.#allocatedBlocks,
      allocatedBlocks: this.#allocatedBlocks,
      metadataBlocks: 0,
      slackBlocks: 0,
      reservedBlocks: 0,
      pendingFreeBlocks: 0,
    };
  }

  /** A copy of the map that references the same blocks. */
  share(blocks: BlockMap): BlockMap {
    for (const block of blocks.values()) block.referenceCount++;
    return new Map(blocks);
  }

  releaseAll(blocks: BlockMap): void {
    for (const lbn of blocks.keys()) this.unmap(blocks, lbn);
  }

  unmap(blocks: BlockMap, lbn: number): void {
    const block = blocks.get(lbn);
    if (!block) return;
    blocks.delete(lbn);
    block.referenceCount--;
    if (block.referenceCount === 0) this.#allocatedBlocks--;
  }

  /** False if the pool is full. */
  tryMap(blocks: BlockMap, lbn: number, bytes: Uint8Array): boolean {
    const isOwn = blocks.get(lbn)?.referenceCount === 1;
    if (!isOwn && this.#allocatedBlocks >= this.#sizeBlocks) return false;
    this.unmap(blocks, lbn);
    blocks.set(lbn, { bytes: bytes.slice(), referenceCount: 1 });
    this.#allocatedBlocks++;
    this.blocksWritten++;
    return true;
  }
}

/** Block I/O on one node. The effect takes place at once, the answer comes in a later turn. */
export class MemoryNodeIo implements NodeIo {
  readonly readOnly: boolean;
  readonly #node: MemoryNode;
  readonly #pool: MemoryPool;
  readonly #drainWaiters: (() => void)[] = [];
  #pendingCount = 0;

  constructor(node: MemoryNode, pool: MemoryPool) {
    this.#node = node;
    this.#pool = pool;
    this.readOnly = node.kind === 'snapshot';
    node.openIos.add(this);
  }

  get sizeBlocks(): number {
    return this.#node.sizeBlocks;
  }

  read(lbn: number, target: Uint8Array, done: IoCompletion): void {
    this.#submit('Read', { lbn, blockCount: bytesToBlocks(target.length) }, done, (blockCount) => {
      for (let index = 0; index < blockCount; index++) {
        const part = target.subarray(index * blockSizeBytes, (index + 1) * blockSizeBytes);
        const block = this.#node.blocks.get(lbn + index);
        if (block) part.set(block.bytes);
        else part.fill(0);
      }
      this.#pool.blocksRead += blockCount;
    });
  }

  write(lbn: number, source: Uint8Array, _fua: boolean, done: IoCompletion): void {
    assert(!this.readOnly, `write to snapshot ${this.#node.name}`);
    this.#submit('Write', { lbn, blockCount: bytesToBlocks(source.length) }, done, (blockCount) => {
      for (let index = 0; index < blockCount; index++) {
        const part = source.subarray(index * blockSizeBytes, (index + 1) * blockSizeBytes);
        if (!this.#pool.tryMap(this.#node.blocks, lbn + index, part)) {
          throw new StoreError('insufficient-space', `Write to "${this.#node.name}": pool is full`);
        }
      }
    });
  }

  discard(lbn: number, blockCount: number, done: IoCompletion): void {
    assert(!this.readOnly, `discard on snapshot ${this.#node.name}`);
    this.#submit('Discard', { lbn, blockCount }, done, () => this.#unmap(lbn, blockCount));
  }

  writeZeroes(lbn: number, blockCount: number, _fua: boolean, done: IoCompletion): void {
    assert(!this.readOnly, `write zeroes to snapshot ${this.#node.name}`);
    this.#submit('Write zeroes', { lbn, blockCount }, done, () => this.#unmap(lbn, blockCount));
  }

  flush(done: IoCompletion): void {
    this.#submit('Flush', { lbn: 0, blockCount: 0 }, done, () => {});
  }

  async allocation(
    lbn: number,
    blockCount: number,
    extentsMax: number,
  ): Promise<readonly AllocationExtent[]> {
    this.#checkRange('Get allocation', { lbn, blockCount });
    const extents: { lbn: number; blockCount: number; state: 'data' | 'hole' }[] = [];
    let next = lbn;
    const append = (state: 'data' | 'hole', until: number) => {
      if (until === next) return;
      const last = extents.at(-1);
      if (last?.state === state) last.blockCount += until - next;
      else extents.push({ lbn: next, blockCount: until - next, state });
      next = until;
    };
    for (const mapped of this.#mappedIn(lbn, lbn + blockCount)) {
      append('hole', mapped);
      append('data', mapped + 1);
      if (extents.length > extentsMax) break;
    }
    if (extents.length <= extentsMax) append('hole', lbn + blockCount);
    extents.length = Math.min(extents.length, extentsMax);
    return extents;
  }

  async close(): Promise<void> {
    this.#node.openIos.delete(this);
    if (this.#pendingCount === 0) return;
    await new Promise<void>((resolve) => {
      this.#drainWaiters.push(resolve);
    });
  }

  #submit(
    action: string,
    range: { lbn: number; blockCount: number },
    done: IoCompletion,
    perform: (blockCount: number) => void,
  ): void {
    let error: StoreError | null = null;
    try {
      this.#checkRange(action, range);
      perform(range.blockCount);
    } catch (thrown) {
      if (!(thrown instanceof StoreError)) throw thrown;
      error = thrown;
    }
    this.#pendingCount++;
    setImmediate(() => {
      this.#pendingCount--;
      done(error);
      if (this.#pendingCount === 0) for (const resolve of this.#drainWaiters.splice(0)) resolve();
    });
  }

  #checkRange(action: string, { lbn, blockCount }: { lbn: number; blockCount: number }): void {
    if (!this.#node.openIos.has(this)) {
      throw new StoreError('unavailable', `${action} on "${this.#node.name}": it is closed`);
    }
    assert(
      lbn >= 0 && lbn + blockCount <= this.sizeBlocks,
      `${action} of ${blockCount} blocks at ${lbn}: the node has ${this.sizeBlocks}`,
    );
  }

  #unmap(lbn: number, blockCount: number): void {
    for (const mapped of this.#mappedIn(lbn, lbn + blockCount)) {
      this.#pool.unmap(this.#node.blocks, mapped);
    }
  }

  /** Mapped blocks in order. Asks each block or sorts all, whichever is less; a thin volume may span 16 TiB. */
  *#mappedIn(lbn: number, end: number): Iterable<number> {
    const { blocks } = this.#node;
    if (end - lbn <= blocks.size * 8) {
      for (let index = lbn; index < end; index++) if (blocks.has(index)) yield index;
    } else {
      const inside = [...blocks.keys()].filter((index) => index >= lbn && index < end);
      yield* inside.sort((a, b) => a - b);
    }
  }
}
