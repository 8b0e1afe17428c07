/** How much memory the maps of a pool may use, and the share of each cell. */
import type { Superblock } from '../format/superblock.ts';
import { blockSizeBytes } from '../units.ts';

const mebibyteBytes = 2 ** 20;
const tebibyteBytes = 2 ** 40;
/** Enough for the maps of all data of a pool that was written in large pieces, twice over. */
const defaultBytesPerTebibyte = 512 * mebibyteBytes;
const defaultBytesMin = 64 * mebibyteBytes;

/** Bytes for the maps of a pool: what was asked for, or 512 MiB per TiB of it, at least 64 MiB. */
export function mapMemoryBytes(superblock: Superblock, askedBytes: number | undefined): number {
  if (askedBytes !== undefined) return askedBytes;
  const groupCount = superblock.devices.reduce((sum, device) => sum + device.groupCount, 0);
  const poolBytes = groupCount * superblock.geometry.groupBlocks * blockSizeBytes;
  const share = Math.ceil((poolBytes / tebibyteBytes) * defaultBytesPerTebibyte);
  return Math.max(defaultBytesMin, share);
}

/** The share of one cell, in pages. */
export function mapPagesOfCell(superblock: Superblock, askedBytes: number | undefined): number {
  const bytes = mapMemoryBytes(superblock, askedBytes) / superblock.geometry.cellCount;
  return Math.max(1, Math.floor(bytes / blockSizeBytes));
}
