/**
 * What the store offers to the layers above it (`volume`, `reactor`, `inspect`) and to the simulator.
 *
 * A store is one open pool. It runs on one thread. Control calls return promises and are durable when they resolve;
 * block I/O completes through callbacks, never before the call returns. Names are the REST ids; they are unique per
 * kind. All block numbers and counts are in 4 KiB blocks.
 */
import type { GroupOwners } from '../allocator/group-owners.ts';
import type { BlockDevice } from '../device/block-device.ts';
import type { StoreEnvironment } from './store-environment.ts';
import type { StoreError } from './store-error.ts';

/** Sizes that are fixed when a pool is formatted. Tests shrink them so that small histories meet every boundary. */
export interface GeometryOptions {
  /** Independent parts of the pool; default clamp(pool size / 64 GiB, 1, 64), or more for `reactorCount`. */
  readonly cellCount?: number;
  /** Reactors that are to have a cell each, as far as the pool's size allows; default 1. */
  readonly reactorCount?: number;
  /** Blocks per allocation group; default 32768 (128 MiB), 4096 in pools under 64 GiB. */
  readonly allocationGroupBlocks?: number;
  /** Journal blocks per cell; default 1/4096 of the cell's size, at least 1024 (4 MiB). */
  readonly journalRingBlocks?: number;
  /** Entries used of a table page (at most 256, the default). */
  readonly tableFanOut?: number;
  /** Clusters used of a leaf (at most 256, the default). */
  readonly leafClusters?: number;
  /**
   * Blocks per cell that only deletes and checkpoints may use; default the cell's share of max(min(1 GiB, 5 %), 1 %).
   */
  readonly reserveBlocks?: number;
}

/** Formats the devices as one pool. The caller has proven that they may be overwritten. */
export type FormatStore = (
  options: {
    readonly poolName: string;
    readonly poolUuid: Uint8Array;
    readonly geometry: GeometryOptions;
  },
  dependencies: {
    readonly devices: readonly BlockDevice[];
    readonly environment: StoreEnvironment;
  },
) => Promise<void>;

/** How devices are told which blocks they may forget. */
export interface DeallocateOptions {
  /** Bytes told of per second, of all devices together. */
  readonly bytesPerSecond: number;
  /** Blocks of the shortest run that is told of; default 16 (64 KiB). */
  readonly runBlocksMin?: number;
}

/** How split clusters are made natural again in the background. */
export interface HealOptions {
  /** Milliseconds between looks for some; default 1000. */
  readonly intervalMs?: number;
  /** Clusters healed per look; default 256. */
  readonly clustersMax?: number;
  /** Blocks read and written by users between two looks up to which a cell counts as idle; default 256. */
  readonly idleBlocksMax?: number;
}

/** Limits and pacing of an open store; none changes the format. */
export interface OpenOptions {
  /** Refuse all changes (inspection). */
  readonly readOnly?: boolean;
  /** Milliseconds after which the journal is written without a waiter; default 100. */
  readonly journalTimerMs?: number;
  /** Milliseconds after which a checkpoint starts if there are records; default 30000. */
  readonly checkpointIntervalMs?: number;
  /** Records after which a checkpoint starts; default 500000. */
  readonly checkpointRecords?: number;
  /** Bytes of pages of maps to keep in memory; default 512 MiB per TiB of the pool, at least 64 MiB. */
  readonly mapMemoryBytes?: number;
  /** Whether and how devices are told which blocks they may forget; default: they are not. */
  readonly deallocate?: DeallocateOptions | undefined;
  /** Share of the room in use up to which a hole gets a whole cluster for its first block; default 0.8. */
  readonly naturalShareMax?: number;
  readonly heal?: HealOptions;
}

/** The part of a pool that one reactor serves, while others serve the rest of it. */
export interface PoolShare {
  /** Cells of this reactor. */
  readonly cells: readonly number[];
  /** The table of owners of a pool of so many groups: the same memory for all reactors. */
  readonly ownersOf: (groupCount: number) => GroupOwners;
  /**
   * Called once this reactor's cells have said which groups are theirs; resolves when those of all reactors have, with
   * the reason of a cell anywhere whose journal has a hole: then nobody may change the pool. `hole` is this reactor's.
   */
  readonly whenAllRecovered: (hole: string | undefined) => Promise<string | undefined>;
}

/**
 * Recovers the pool and opens it; resolves when it serves. Rejects with StoreError `data-loss` for rot in metadata.
 */
export type OpenStore = (
  options: OpenOptions,
  dependencies: {
    readonly devices: readonly BlockDevice[];
    readonly environment: StoreEnvironment;
    /** Undefined: all of the pool. */
    readonly share?: PoolShare | undefined;
  },
) => Promise<Store>;

/** What a catalog record is for. */
export type NodeKind = 'volume' | 'snapshot';

/** Addresses a node by its REST id. */
export interface NodeName {
  readonly kind: NodeKind;
  readonly name: string;
}

/** A node as the catalog has it now. */
export interface NodeSummary extends NodeName {
  /** Unique in the store while the node exists; reused later. */
  readonly nodeId: number;
  readonly cell: number;
  readonly family: number;
  /** 16 bytes; stays the volume's over a revert. */
  readonly uuid: Uint8Array;
  readonly sizeBlocks: number;
  /** Milliseconds since 1970: the time of the cut for a snapshot. */
  readonly createdMs: number;
  /** The name of the snapshot it was made from or cut behind; undefined for a root, or if that one is deleted. */
  readonly parentSnapshot: string | undefined;
  /** Clones and later snapshots that descend directly from it. */
  readonly childCount: number;
  /** Blocks that it references, slack included. */
  readonly referencedBlocks: number;
  /** Blocks of these that are reserved beside its data and hold none yet. */
  readonly slackBlocks: number;
  /** Attributes as given: canonical JSON of at most 3,072 bytes. The store does not look inside. */
  readonly attributes: string;
}

/** Exact sizes of one node, computed when asked. Slack counts in all of them. */
export interface NodeSpace {
  readonly referencedBlocks: number;
  /** Of these, blocks that hold no data. */
  readonly slackBlocks: number;
  /** Blocks that only this node references. */
  readonly uniqueBlocks: number;
  /** Blocks that deleting it now frees, collapsing waiting parents included. */
  readonly reclaimableBlocks: number;
}

/** Space of the pool, in blocks. size = allocated + free; reserved and metadata are inside these. */
export interface StoreSpace {
  readonly sizeBlocks: number;
  readonly freeBlocks: number;
  /** User data and metadata, blocks waiting to be freed included. */
  readonly allocatedBlocks: number;
  readonly metadataBlocks: number;
  /**
   * Reserved beside the data of volumes, and given up when the pool gets full; what clones share counts for each.
   */
  readonly slackBlocks: number;
  /** Kept for deletes and checkpoints. */
  readonly reservedBlocks: number;
  /** Blocks that background work (free queue, walks) still has to free, as far as known. */
  readonly pendingFreeBlocks: number;
}

/** Counters for metrics and for tests that count device work. Only grow while the store is open. */
export interface StoreCounters {
  readonly journalBlocksWritten: number;
  readonly journalRecords: number;
  readonly checkpoints: number;
  readonly metadataPagesWritten: number;
  readonly deviceFlushes: number;
  readonly dataBlocksWritten: number;
  readonly dataBlocksRead: number;
  /** Allocation groups that cells have taken from the pool. */
  readonly groupsTaken: number;
  /** Allocation groups that cells have given back to the pool. */
  readonly groupsReturned: number;
  /** Times that a cell has asked the others for groups, because none was left. */
  readonly groupRequests: number;
  /** Steps of background work that failed, and are tried again. */
  readonly backgroundFailures: number;
  /** Split clusters that were made natural again. */
  readonly healedClusters: number;
  /** Blocks of slack that were given up in a full pool. */
  readonly harvestedBlocks: number;
  /** Bytes of freed blocks that devices were told of. */
  readonly deallocatedBytes: number;
  /** Deallocations that devices refused. */
  readonly deallocateFailures: number;
  /** Operations that found all pages of the map that they needed in memory. */
  readonly mapHits: number;
  /** Pages of maps that were read from the devices. */
  readonly mapMisses: number;
  /** Pages of maps that made room for others. */
  readonly mapEvictions: number;
}

/** Memory of the maps of an open store. */
export interface MapMemory {
  /** What they may use. */
  readonly budgetBytes: number;
  /** What they use: pages in memory, those to be written by the next checkpoint included. */
  readonly residentBytes: number;
}

/** Called exactly once per I/O; null means that all of it was done. */
export type IoCompletion = (error: StoreError | null) => void;

/** A run of blocks of a volume with one state. Zero and hole read as zeros; a hole takes no space. */
export interface AllocationExtent {
  readonly lbn: number;
  readonly blockCount: number;
  readonly state: 'data' | 'hole';
}

/** Block I/O on one node. Several may be open on one node. Snapshots are read-only. */
export interface NodeIo {
  readonly sizeBlocks: number;
  readonly readOnly: boolean;
  /**
   * Set by users who go on after a crash of this process as if nothing had happened, as hosts of NVMe/TCP do: what
   * was answered must then survive that crash even without a flush. A power cut may still take it.
   */
  keepsAnswers?: boolean;
  /** Reads whole blocks; the buffer belongs to the store until completion. */
  read(lbn: number, target: Uint8Array, done: IoCompletion): void;
  /** Writes whole blocks; with `fua` they are durable at completion, their map records included. */
  write(lbn: number, source: Uint8Array, fua: boolean, done: IoCompletion): void;
  /** Gives the blocks back; they read as zeros afterwards (also after a crash, once flushed). */
  discard(lbn: number, blockCount: number, done: IoCompletion): void;
  /** Makes the blocks read as zeros. Unlike discard it is never skipped: it may fail with `insufficient-space`. */
  writeZeroes(lbn: number, blockCount: number, fua: boolean, done: IoCompletion): void;
  /** Makes durable all that completed on this volume, through any NodeIo, before this call. */
  flush(done: IoCompletion): void;
  /** The extents of [lbn, lbn + blockCount), in order, without gaps, at most `extentsMax` (then shorter). */
  allocation(
    lbn: number,
    blockCount: number,
    extentsMax: number,
  ): Promise<readonly AllocationExtent[]>;
  /** Ends after I/O under way; later I/O fails with `unavailable`. May be called twice. */
  close(): Promise<void>;
}

/** Arguments of a new root volume. `uuid` is 16 bytes. */
export interface CreateVolumeOptions {
  readonly name: string;
  readonly uuid: Uint8Array;
  readonly sizeBlocks: number;
  readonly attributes: string;
}

/** Arguments of a snapshot: one journal write, whatever the volume's size. */
export interface CreateSnapshotOptions {
  readonly name: string;
  readonly uuid: Uint8Array;
  readonly volume: string;
  readonly attributes: string;
}

/**
 * Arguments of a clone: of a snapshot, or of a volume's present content (an unnamed snapshot in the same record set).
 */
export interface CreateCloneOptions {
  readonly name: string;
  readonly uuid: Uint8Array;
  readonly source: NodeName;
  /** At least the source's size. */
  readonly sizeBlocks: number;
  readonly attributes: string;
}

/** One open pool. */
export interface Store {
  readonly poolName: string;
  readonly poolUuid: Uint8Array;
  readonly cellCount: number;
  /** Why the pool takes no changes, e.g. a journal hole or a failed journal write; undefined when it does. */
  readonly readOnlyReason: string | undefined;

  find(node: NodeName): NodeSummary | undefined;
  /** All volumes and user-visible snapshots, in order of kind and name. */
  list(kind: NodeKind): readonly NodeSummary[];

  createVolume(options: CreateVolumeOptions): Promise<NodeSummary>;
  createSnapshot(options: CreateSnapshotOptions): Promise<NodeSummary>;
  createClone(options: CreateCloneOptions): Promise<NodeSummary>;
  /** Grows a volume; a smaller size is `out-of-range`, the same size does nothing. */
  resize(volume: string, sizeBlocks: number): Promise<NodeSummary>;
  /** Replaces the attributes of a volume or snapshot. */
  setAttributes(node: NodeName, attributes: string): Promise<NodeSummary>;
  /**
   * Puts a volume back to a snapshot of its own family line, in place; keeps size, uuid, name. `attributes` replaces
   * the volume's (the layer above remembers the revert id there), in the same record. NodeIo objects of the volume
   * must be closed first, else `failed-precondition`.
   */
  revert(volume: string, snapshot: string, attributes: string): Promise<NodeSummary>;
  /**
   * Deletes it; the space comes back in the background. NodeIo objects must be closed first. `not-found` if absent.
   */
  deleteNode(node: NodeName): Promise<void>;

  space(): StoreSpace;
  nodeSpace(node: NodeName): Promise<NodeSpace>;
  /** What deleting these snapshots together frees, in blocks; changes nothing. */
  reclaimableBlocks(snapshots: readonly string[]): Promise<number>;
  counters(): StoreCounters;
  mapMemory(): MapMemory;

  /** Opens block I/O; `not-found` if absent. */
  openIo(node: NodeName): NodeIo;

  /** Writes a checkpoint now and resolves when its root is durable. */
  checkpoint(): Promise<void>;
  /** Makes split clusters natural again now, as far as a look of the background work goes. */
  healClusters(): Promise<void>;
  /** Resolves when no walk and no free-queue work is left. */
  drainBackgroundWork(): Promise<void>;
  /** Drains I/O, writes a checkpoint, ends all timers. Leaves the devices open. May be called twice. */
  close(): Promise<void>;
  /** Stops at once without writing (a crash as far as the disk can tell). Devices stay open. */
  destroy(): void;
}
