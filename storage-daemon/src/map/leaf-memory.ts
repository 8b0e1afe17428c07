/**
 * Memory of leaves: the arrays of many lie in one buffer, and those of evicted leaves are used again, so that reading
 * a page makes no garbage and a leaf costs little more than its entries. Leaves that are dropped without being given
 * back are the collector's, a slab at a time.
 */
import { clearLeaf, leafBytes, leafOver, type MapLeaf } from '../format/map-leaf.ts';

/** Leaves of one buffer: 198 KiB. */
const slabLeaves = 64;

/** Gives and takes back the arrays of leaves. */
export class LeafMemory {
  readonly #free: MapLeaf[] = [];
  #slab = new ArrayBuffer(0);
  #usedBytes = 0;

  /** Arrays of a leaf that maps nothing. */
  take(): MapLeaf {
    const free = this.#free.pop();
    if (free) return free;
    if (this.#usedBytes === this.#slab.byteLength) {
      this.#slab = new ArrayBuffer(slabLeaves * leafBytes);
      this.#usedBytes = 0;
    }
    const leaf = leafOver(this.#slab, this.#usedBytes);
    this.#usedBytes += leafBytes;
    return leaf;
  }

  /** Nobody looks at the leaf any more. */
  give(leaf: MapLeaf): void {
    clearLeaf(leaf);
    this.#free.push(leaf);
  }
}
