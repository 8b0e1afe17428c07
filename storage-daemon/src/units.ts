/**
 * The units of the store, and the only place where one is turned into another.
 *
 * - byte: what clients and devices count.
 * - block: 4 KiB, the unit of mapping and allocation. A metadata page is one block.
 * - cluster: 64 KiB, 16 aligned blocks.
 *
 * Block numbers are unsigned 32-bit, which covers 16 TiB; byte offsets are safe integers.
 */
import { assert } from '@varve/common/assert';

/** Bytes in a block, and in a page of metadata. */
export const blockSizeBytes = 4096;
/** Blocks in a cluster. */
export const clusterSizeBlocks = 16;
/** Bytes in a cluster. */
export const clusterSizeBytes = blockSizeBytes * clusterSizeBlocks;
/** The largest volume: 16 TiB - 64 KiB, so that every block number and count fits 32 bits. */
export const volumeSizeBlocksMax = 2 ** 32 - clusterSizeBlocks;

/** Turns a count or number of blocks into bytes. */
export function blocksToBytes(blocks: number): number {
  return blocks * blockSizeBytes;
}

/** Turns a multiple of 4 KiB into blocks. */
export function bytesToBlocks(bytes: number): number {
  if (bytes % blockSizeBytes !== 0) assert(false, `${bytes} bytes are not whole blocks`);
  return bytes / blockSizeBytes;
}
