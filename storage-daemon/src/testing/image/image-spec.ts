/**
 * A pool written down as data, for tests of the checker: what it maps, what is dead, what waits to be freed, and every
 * counter. Blocks and pages have names; `'a:3'` is the one called a, born in epoch 3.
 */
import type { CatalogRecord } from '../../format/catalog-record.ts';
import type { CellRoot } from '../../format/cell-root.ts';
import type { GroupEntry } from '../../format/group-list.ts';
import type { JournalRecord } from '../../format/journal-record.ts';

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/** Name and birth. */
export type BornName = `${string}:${number}`;

/** A leaf. Extensions get the names `<leaf>+0`, `<leaf>+1` ..., unless `extensions` names those of another leaf. */
export interface LeafSpec {
  readonly index: number;
  /** By block number inside the leaf. */
  entries: Record<number, BornName>;
  /** Names and births of extensions, if clusters beyond the seventh need them. */
  extensions?: BornName[];
}

/** A table page. */
export interface TableSpec {
  readonly level: number;
  readonly index: number;
  /** By position. */
  children: Record<number, BornName>;
}

/** A bucket of a dead list; `isPaged` puts its entries into a page of their own. */
export interface BucketSpec {
  readonly birthLow: number;
  entries: BornName[];
  readonly isPaged?: boolean;
  blockCount?: number;
}

/** A node. Numbers that are left out are 0. */
export interface NodeSpec extends Writable<
  Partial<Omit<CatalogRecord, 'id' | 'root' | 'attributes' | 'deadData' | 'deadMeta'>>
> {
  readonly id: number;
  map?: BornName;
  attributes?: string;
  deadData?: BucketSpec[];
  deadMeta?: BucketSpec[];
}

/** An item of the free queue. */
export interface ItemSpec {
  readonly id: number;
  readonly isMeta: boolean;
  done: number;
  /** `null:0` is a page that was never written. */
  entries: BornName[];
  readonly isPaged?: boolean;
  blockCount?: number;
}

/** A change of bytes that a page gets before its checksum is taken, or after. */
export interface PatchSpec {
  readonly page: string;
  readonly offsetBytes: number;
  readonly bytes: readonly number[];
  readonly isUnnoticed: boolean;
}

/** A cell of a pool. */
export interface ImageSpec {
  leaves: Record<string, LeafSpec>;
  tables: Record<string, TableSpec>;
  nodes: NodeSpec[];
  queue: ItemSpec[];
  root: Writable<Partial<CellRoot>>;
  /** Groups that the cell owns; the first is 0. */
  groups: (Writable<Partial<GroupEntry>> & { group: number })[];
  /** Names of blocks that count as allocated and that nothing uses. */
  leaked: string[];
  /** Names of blocks that are used and count as free. */
  freed: string[];
  /** Blocks of the journal behind the last checkpoint. */
  journal: (readonly JournalRecord[])[];
  patches: PatchSpec[];
}
