/** Breaks of the rules of what stays in memory: which frames may be evicted, and what a page read again must be. */
import type { PlantedBug } from './planted-bug.ts';

/** One entry per way of breaking a rule. */
export const residencyBugs: readonly PlantedBug[] = [
  {
    name: 'checksums: a page of metadata is not compared with its pointer',
    file: 'store/checkpoint/page-reads.ts',
    find: 'if (crc32c(page) === pointer.crc) return null;',
    replace: 'if (crc32c(page) >= 0) return null;',
    profile: 'rot',
    seedsMax: 20,
  },
  {
    name: 'map: a frame that has changed stays among those that may be evicted',
    file: 'store/cell-state.ts',
    find: 'if (frame.pbn !== 0) this.pages.forget(frame.pbn);',
    replace: '',
    profile: 'paged',
    seedsMax: 40,
  },
  {
    name: 'map: a page whose bytes a checkpoint still writes is evicted, and read too early',
    file: 'store/checkpoint/checkpoint-image.ts',
    find: 'state.pages.hold(frame);',
    replace: '',
    profile: 'thrash',
    seedsMax: 40,
  },
  {
    name: 'map: a write does not look for its leaf again when its data has arrived',
    file: 'store/io/write-operation.ts',
    find: '() => state.residency.findMissing(node, lbn, count),',
    replace: '() => undefined,',
    profile: 'paged',
    seedsMax: 40,
  },
  {
    name: 'map: frames are evicted in the middle of the turn that has found them',
    file: 'map/map-pages.ts',
    find: 'queueMicrotask(() => {',
    replace: '[0].forEach(() => {',
    profile: 'paged',
    seedsMax: 40,
  },
  {
    name: 'map: what a search has loaded is not held while it loads the rest',
    file: 'map/map-pages.ts',
    find: 'frame.holdCount++;',
    replace: '',
    profile: 'thrash',
    seedsMax: 40,
  },
  {
    name: 'map: a link to an evicted frame is followed',
    file: 'map/map-residency.ts',
    find: 'if (child && !child.isEvicted) return use(child);',
    replace: 'if (child) return use(child);',
    profile: 'paged',
    seedsMax: 40,
  },
  {
    name: 'map: a frame is still found by its block when the page was freed (identity)',
    file: 'store/cell-state.ts',
    find: `  #freeUnframed(pbn: number): void {
    this.pages.forget(pbn);`,
    replace: '  #freeUnframed(pbn: number): void {',
    profile: 'family',
    seedsMax: 200,
  },
  {
    name: 'map: two loads of one page at once make two frames of it',
    file: 'map/map-pages.ts',
    find: 'if (waiting) {',
    replace: 'if (waiting && this.#misses < 0) {',
    profile: 'paged',
    seedsMax: 40,
  },
];
