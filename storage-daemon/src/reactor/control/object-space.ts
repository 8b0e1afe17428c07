/** The sizes of an object that the store counts when asked. */
import { blocksToBytes } from '../../units.ts';
import type { FoundNode } from '../pools/open-pools.ts';

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
