/** Breaks of natural clusters: their slack, their masks, their places, and how they are healed. */
import type { PlantedBug } from './planted-bug.ts';

const run = { profile: 'clusters', seedsMax: 60 } as const;

/** One entry per way of breaking a rule. */
export const clusterBugs: readonly PlantedBug[] = [
  {
    name: 'clusters: slack is not killed when an entry is split',
    file: 'map/leaf-entries.ts',
    find: 'onDropped({ pbn, birth, isSlack: true });',
    replace: '',
    ...run,
  },
  {
    name: 'clusters: slack is not killed when an entry is dropped',
    file: 'map/leaf-entries.ts',
    find: 'onDropped({ pbn: base * clusterSizeBlocks + block, birth, isSlack });',
    replace: 'if (!isSlack) onDropped({ pbn: base * clusterSizeBlocks + block, birth, isSlack });',
    ...run,
  },
  {
    name: 'clusters: slack is not freed by a walk',
    file: 'map/map-walk.ts',
    find: 'hooks.freeBlock({ pbn: base * clusterSizeBlocks + block, birth });',
    replace: `if ((leaf.validMask[cluster]! >>> block) & 1) {
      hooks.freeBlock({ pbn: base * clusterSizeBlocks + block, birth });
    }`,
    ...run,
  },
  {
    name: 'clusters: what an entry held before is forgotten when it gets a cluster',
    file: 'map/leaf-entries.ts',
    find: 'this.#drop(change, place, onDropped);\n    leaf.leaf.base[cluster] = base;',
    replace: 'leaf.leaf.splitIndex[cluster] = -1;\n    leaf.leaf.base[cluster] = base;',
    ...run,
  },
  {
    name: 'clusters: slack that a snapshot shares by now is mapped all the same',
    file: 'store/io/write-placement.ts',
    find: 'return leaf?.base[index] === base && leaf.birth[index]! > node.parentEpoch;',
    replace: 'return leaf?.base[index] === base;',
    ...run,
  },
  {
    name: 'clusters: the mask is ignored, and slack shows what its blocks held before',
    file: 'map/leaf-entries.ts',
    find: 'if (((leaf.leaf.validMask[cluster]! >>> block) & 1) === 0) return undefined;',
    replace: '',
    ...run,
  },
  {
    name: 'clusters: a write into slack is not recorded as valid',
    file: 'map/map-tree.ts',
    find: 'leaf.validMask[index] = former | mask;',
    replace: '',
    ...run,
  },
  {
    name: 'clusters: a cluster begins anywhere in its group',
    file: 'allocator/group-bitmap.ts',
    find: 'let index = start - (start % clusterSizeBlocks);',
    replace: 'let index = start - 3;',
    ...run,
  },
  {
    name: 'clusters: runs are read together that do not lie together',
    file: 'store/io/read-operation.ts',
    find: '&& last.pbn + last.count === mapped.pbn;',
    replace: '&& last.pbn + last.count <= mapped.pbn;',
    ...run,
  },
  {
    name: 'clusters: runs are written together that do not lie together',
    file: 'store/io/write-operation.ts',
    find: 'last.lbn + last.count === lbn && last.pbn + last.count === pbn;',
    replace: 'last.lbn + last.count === lbn && last.pbn + last.count <= pbn;',
    ...run,
  },
  {
    name: 'heal: writes in place under way are not waited for',
    file: 'store/clusters/cluster-healer.ts',
    find: 'await new Promise<void>((resolve) => inPlaceTracker.whenEnded(mark, resolve));',
    replace: '',
    ...run,
  },
  {
    name: 'heal: writes in place go on while a cluster is copied',
    file: 'store/io/write-operation.ts',
    find: 'const isWaiting = locks.isHeld(cluster);',
    replace: 'const isWaiting = locks.isHeld(cluster) && !locks.isLocked(cluster);',
    ...run,
  },
  {
    name: 'heal: a cluster with shared blocks is copied',
    file: 'store/clusters/cluster-healer.ts',
    find: 'if (split[block] === 0 || split[clusterSizeBlocks + block]! <= bound) return false;',
    replace: 'if (split[block] === 0 || split[clusterSizeBlocks + block]! < bound) return false;',
    ...run,
  },
  {
    name: 'heal: a snapshot that came meanwhile is not looked for',
    file: 'store/clusters/cluster-healer.ts',
    find: 'resolve(split && isAllOwn(split, node.parentEpoch) ? use(split) : undefined);',
    replace: 'resolve(split ? use(split) : undefined);',
    ...run,
  },
];
