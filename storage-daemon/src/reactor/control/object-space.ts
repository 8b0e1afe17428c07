/** The sizes of an object that the store counts when asked. */
import { blocksToBytes } from '../../units.ts';
import type { FoundNode } from '../pools/open-pools.ts';

/**
 * What a new object has: all that it references is its source's, or its volume's, at the instant of its
 * making. Counting would give the same, and take longer the more snapshots there are.
 */
export const noOwnSpace = { uniqueBytes: 0, reclaimableBytes: 0 } as const;

/** Bytes that only this node references, and bytes that its deletion frees. */
export async function countSpace({ store, summary }: FoundNode): Promise<{
  readonly uniqueBytes: number;
  readonly reclaimableBytes: number;
}> {
  const { uniqueBlocks, reclaimableBlocks } = await store.nodeSpace(summary);
  return {
    uniqueBytes: blocksToBytes(uniqueBlocks),
    reclaimableBytes: blocksToBytes(reclaimableBlocks),
  };
}
