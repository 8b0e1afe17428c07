/**
 * A pool that several simulated reactors serve, each with cells of its own: they share the table of owners and nothing
 * else. To its clients it is one store; what they ask for goes to the reactor that has the name.
 */
import { GroupOwners } from '../../../allocator/group-owners.ts';
import type * as api from '../../../store/store-api.ts';
import type { ReactorLane } from './reactor-lane.ts';

/** Opens a pool on several reactors; cell c belongs to reactor c mod their number. */
export async function openOnReactors(
  openStore: api.OpenStore,
  options: api.OpenOptions & { readonly cellCount: number },
  lanes: readonly ReactorLane[],
): Promise<api.Store> {
  let owners: GroupOwners | undefined;
  let left = lanes.length;
  let anyHole: string | undefined;
  const allRecovered = Promise.withResolvers<string | undefined>();
  // Nobody may wait for it: then its rejection is nobody's.
  allRecovered.promise.catch(() => {});
  const cellsOf = (reactor: number) =>
    Array.from({ length: options.cellCount }, (_, cell) => cell).filter(
      (cell) => cell % lanes.length === reactor,
    );
  const opening = lanes.map((lane, reactor) =>
    openStore(options, {
      devices: lane.devices,
      environment: lane.environment,
      share: {
        cells: cellsOf(reactor),
        ownersOf: (groupCount) => {
          owners ??= new GroupOwners(groupCount);
          return new GroupOwners(owners.memory);
        },
        whenAllRecovered: (hole) => {
          anyHole ??= hole;
          if (--left === 0) allRecovered.resolve(anyHole);
          return allRecovered.promise;
        },
      },
    }),
  );
  for (const each of opening) each.catch((error: unknown) => allRecovered.reject(error));
  return new ReactorPool(await Promise.all(opening));
}

/** The stores of all reactors as one. */
class ReactorPool implements api.Store {
  readonly poolName: string;
  readonly poolUuid: Uint8Array;
  readonly cellCount: number;
  readonly #stores: readonly api.Store[];
  /** Where each name was last. */
  readonly #homes = new Map<string, api.Store>();

  constructor(stores: readonly api.Store[]) {
    const [first] = stores;
    this.#stores = stores;
    this.poolName = first!.poolName;
    this.poolUuid = first!.poolUuid;
    this.cellCount = stores.reduce((sum, store) => sum + store.cellCount, 0);
    for (const store of stores) {
      for (const kind of ['volume', 'snapshot'] as const) {
        for (const { name } of store.list(kind)) this.#homes.set(keyOf({ kind, name }), store);
      }
    }
  }

  get readOnlyReason(): string | undefined {
    return this.#stores.find((store) => store.readOnlyReason !== undefined)?.readOnlyReason;
  }

  find(name: api.NodeName): api.NodeSummary | undefined {
    return this.#of(name).find(name);
  }

  list(kind: api.NodeKind): readonly api.NodeSummary[] {
    const nodes = this.#stores.flatMap((store) => store.list(kind));
    return nodes.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  createVolume(options: api.CreateVolumeOptions): Promise<api.NodeSummary> {
    const name = { kind: 'volume', name: options.name } as const;
    const store =
      this.#homes.has(keyOf(name)) && this.find(name) ? this.#of(name) : this.#emptiest();
    this.#homes.set(keyOf(name), store);
    return store.createVolume(options);
  }

  createSnapshot(options: api.CreateSnapshotOptions): Promise<api.NodeSummary> {
    const store = this.#of({ kind: 'volume', name: options.volume });
    this.#homes.set(keyOf({ kind: 'snapshot', name: options.name }), store);
    return store.createSnapshot(options);
  }

  createClone(options: api.CreateCloneOptions): Promise<api.NodeSummary> {
    const store = this.#of(options.source);
    this.#homes.set(keyOf({ kind: 'volume', name: options.name }), store);
    return store.createClone(options);
  }

  resize(volume: string, sizeBlocks: number): Promise<api.NodeSummary> {
    return this.#of({ kind: 'volume', name: volume }).resize(volume, sizeBlocks);
  }

  setAttributes(name: api.NodeName, attributes: string): Promise<api.NodeSummary> {
    return this.#of(name).setAttributes(name, attributes);
  }

  revert(volume: string, snapshot: string, attributes: string): Promise<api.NodeSummary> {
    return this.#of({ kind: 'volume', name: volume }).revert(volume, snapshot, attributes);
  }

  deleteNode(name: api.NodeName): Promise<void> {
    return this.#of(name).deleteNode(name);
  }

  space(): api.StoreSpace {
    const spaces = this.#stores.map((store) => store.space());
    const total = (count: (space: api.StoreSpace) => number) =>
      spaces.reduce((sum, space) => sum + count(space), 0);
    const { sizeBlocks, reservedBlocks } = spaces[0]!;
    const allocatedBlocks = total((space) => space.allocatedBlocks);
    return {
      ...spaces[0]!,
      sizeBlocks,
      reservedBlocks,
      allocatedBlocks,
      freeBlocks: sizeBlocks - allocatedBlocks,
      metadataBlocks: total((space) => space.metadataBlocks),
      pendingFreeBlocks: total((space) => space.pendingFreeBlocks),
    };
  }

  nodeSpace(name: api.NodeName): Promise<api.NodeSpace> {
    return this.#of(name).nodeSpace(name);
  }

  async reclaimableBlocks(snapshots: readonly string[]): Promise<number> {
    const byStore = new Map<api.Store, string[]>();
    for (const name of snapshots) {
      const store = this.#of({ kind: 'snapshot', name });
      byStore.set(store, [...(byStore.get(store) ?? []), name]);
    }
    let blocks = 0;
    for (const [store, names] of byStore) blocks += await store.reclaimableBlocks(names);
    return blocks;
  }

  counters(): api.StoreCounters {
    return this.#stores[0]!.counters();
  }

  mapMemory(): api.MapMemory {
    return this.#stores[0]!.mapMemory();
  }

  openIo(name: api.NodeName): api.NodeIo {
    return this.#of(name).openIo(name);
  }

  async checkpoint(): Promise<void> {
    await Promise.all(this.#stores.map((store) => store.checkpoint()));
  }

  async healClusters(): Promise<void> {
    await Promise.all(this.#stores.map((store) => store.healClusters()));
  }

  async drainBackgroundWork(): Promise<void> {
    await Promise.all(this.#stores.map((store) => store.drainBackgroundWork()));
  }

  async close(): Promise<void> {
    await Promise.all(this.#stores.map((store) => store.close()));
  }

  destroy(): void {
    for (const store of this.#stores) store.destroy();
  }

  /** The reactor of a name; any for one that was never there. */
  #of(name: api.NodeName): api.Store {
    return this.#homes.get(keyOf(name)) ?? this.#stores[0]!;
  }

  #emptiest(): api.Store {
    const used = (store: api.Store) => store.space().allocatedBlocks;
    return this.#stores.toSorted((a, b) => used(a) - used(b))[0]!;
  }
}

function keyOf({ kind, name }: api.NodeName): string {
  return `${kind} ${name}`;
}
