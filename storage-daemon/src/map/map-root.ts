/** The top of a node's map: a pointer, and its frame once it is resident. */
import { assert } from '@varve/common/assert';

import { nullPointer, type MetadataPointer } from '../format/metadata-pointer.ts';
import type { MapFrame } from './map-frame.ts';

/** A node as its map sees it. */
export interface MappedNode {
  readonly family: number;
  /** Height of the map above its leaves. */
  level: number;
  root: MapRoot;
  /** Birth of what the node writes now. */
  readonly curEpoch: number;
}

/** A pointer to the top page. `frame` wins over `pbn` and `crc` where both are there. */
export interface MapRoot {
  readonly pbn: number;
  readonly crc: number;
  readonly birth: number;
  readonly frame: MapFrame | undefined;
}

/** A map without pages. */
export const emptyRoot: MapRoot = { pbn: 0, crc: 0, birth: 0, frame: undefined };

/** True if there is nothing mapped below. */
export function isEmptyRoot(root: MapRoot): boolean {
  return root.frame === undefined && root.pbn === 0;
}

/** The pointer to store: of a root whose frame is clean, or freed under a dying node. */
export function rootPointer(root: MapRoot): MetadataPointer {
  const { frame, birth } = root;
  if (frame?.pbn === 0) {
    assert(!frame.isDirty, 'a root is to be stored before its page');
    return nullPointer;
  }
  if (frame) return { pbn: frame.pbn, crc: frame.crc, birth };
  return root.pbn === 0 ? nullPointer : { pbn: root.pbn, crc: root.crc, birth };
}
