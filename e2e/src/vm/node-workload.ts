/**
 * Random work on a storage node's volumes, and the judgement of what is there after a power cut.
 *
 * Reads, writes, flushes, discards, snapshots, clones and deletions are under way at the same time. Whatever was
 * answered must hold after the cut; whatever was not may have happened or not, and nothing else may be there.
 */
import assert from 'node:assert/strict';
import type { SeededRandom } from '@varve/storage-daemon/testing/seeded-random';
import { waitUntil } from '../process/wait-until.ts';
import type { NbdClient } from './nbd-client.ts';
import { sectorBytes, SectorLedger, WriteNumbers } from './sector-ledger.ts';
import type { StorageNode } from './storage-node.ts';

const blockBytes = 4096;
const volumeBytes = 16 * 2 ** 20;
const blocksPerVolume = volumeBytes / blockBytes;
const sectorsPerBlock = blockBytes / sectorBytes;
/** Longest write, in blocks: several clusters of the store. */
const writeBlocksMax = 40;
const roots = 2;
const clonesMax = 2;
const snapshotsMax = 6;
/** Requests under way at a time. */
const requestsMax = 16;
const readBytes = 256 * 1024;
const disconnectTimeoutMs = 30_000;
const pool = 'pool';

const weights = {
  write: 60,
  fuaWrite: 8,
  discard: 6,
  writeZeroes: 4,
  flush: 8,
  snapshot: 3,
  clone: 1,
  deleteSnapshot: 2,
  deleteClone: 1,
};
type Action = keyof typeof weights;

/** Nothing that makes anything durable, so that caches are full when the power goes. */
const burstWeights: Readonly<Record<Action, number>> = {
  ...weights,
  fuaWrite: 0,
  flush: 0,
  snapshot: 0,
  clone: 0,
  deleteSnapshot: 0,
  deleteClone: 0,
};
/** How many requests of a burst come before a cut. */
const burstLengths = [0, 40, 120];

/** `creating` and `deleting` are under way: a power cut decides. */
type Presence = 'creating' | 'present' | 'deleting';

interface Copy {
  presence: Presence;
  ledger: SectorLedger;
}

interface Volume extends Copy {
  readonly isClone: boolean;
  /** Blocks with a request under way: overlapping ones have no order. */
  readonly busyBlocks: Set<number>;
  /** Requests under way on its connection. */
  requests: number;
  export: NbdClient | undefined;
}

/** The work on one node. */
export class NodeWorkload {
  readonly #node: StorageNode;
  readonly #random: SeededRandom;
  readonly #numbers = new WriteNumbers();
  readonly #volumes = new Map<string, Volume>();
  readonly #snapshots = new Map<string, Copy>();
  #nextCopy = 1;
  #isCut = false;

  constructor(node: StorageNode, random: SeededRandom) {
    this.#node = node;
    this.#random = random;
  }

  /** Makes the volumes. */
  async prepare(): Promise<void> {
    for (let count = 0; count < roots; count++) {
      const id = `root-${count}`;
      await this.#node.client.putVolume(id, { pool, sizeBytes: volumeBytes });
      const ledger = SectorLedger.empty(this.#nextCopy++, volumeBytes, this.#numbers);
      this.#addVolume(id, { ledger, isClone: false });
    }
    await this.#connect();
  }

  /** Works until so many requests were answered, then calls `cut` while others are under way. */
  async runUntilCut(answersMax: number, cut: () => Promise<string>): Promise<string> {
    let answers = 0;
    const burstStart = answersMax - this.#random.pick(burstLengths);
    const lanes = Array.from({ length: requestsMax }, async () => {
      while (!this.#isCut && answers < answersMax) {
        await this.#step(answers < burstStart ? weights : burstWeights);
        answers += 1;
      }
    });
    // The first lane that is done has seen the last answer; the others have requests under way.
    await Promise.race(lanes);
    this.#isCut = true;
    const report = await cut();
    for (const volume of this.#volumes.values()) {
      volume.export?.close();
      volume.export = undefined;
      volume.busyBlocks.clear();
    }
    await Promise.all(lanes);
    return report;
  }

  /** Demands that the daemon has what was answered and nothing else, down to each sector. Returns the bytes read. */
  async verify(): Promise<number> {
    this.#isCut = false;
    const { client } = this.#node;
    const volumes = new Set<string>();
    for await (const volume of client.allVolumes()) volumes.add(volume.id);
    const snapshots = new Set<string>();
    for await (const snapshot of client.allSnapshots()) snapshots.add(snapshot.id);
    settlePresence('volume', this.#volumes, volumes);
    settlePresence('snapshot', this.#snapshots, snapshots);
    await this.#connect();
    for (const [id, volume] of this.#volumes) await verifyExport(id, volume.export!, volume.ledger);
    for (const [id, snapshot] of this.#snapshots) {
      const reader = await this.#node.openExport(`snapshot/${id}`);
      await verifyExport(id, reader, snapshot.ledger);
      await reader.disconnect();
    }
    return (this.#volumes.size + this.#snapshots.size) * volumeBytes;
  }

  /** Closes all connections, deletes everything, and waits until no space is taken any more. */
  async cleanUp(): Promise<void> {
    const { client } = this.#node;
    for (const [id, volume] of this.#volumes) {
      await volume.export?.disconnect();
      await this.#deleteVolume(id);
    }
    for (const id of this.#snapshots.keys()) await client.deleteSnapshot(id);
    await waitUntil(
      'all space of the pool to be free',
      async () => {
        const { allocatedBytes, metadataBytes, pendingFreeBytes } = await client.getPool(pool);
        const left = allocatedBytes - metadataBytes + pendingFreeBytes;
        return left === 0 ? true : undefined;
      },
      { timeoutMs: 60_000 },
    );
  }

  async #connect(): Promise<void> {
    for (const [id, volume] of this.#volumes) {
      volume.export ??= await this.#node.openExport(`volume/${id}`);
    }
  }

  #addVolume(id: string, volume: Pick<Volume, 'ledger' | 'isClone'>): void {
    this.#volumes.set(id, {
      ...volume,
      presence: 'present',
      busyBlocks: new Set(),
      requests: 0,
      export: undefined,
    });
  }

  /** One random request. What a cut breaks off is not an error; anything else is. */
  async #step(weights: Readonly<Record<Action, number>>): Promise<void> {
    try {
      await this.#act(this.#random.weighted(weights));
    } catch (error) {
      if (!this.#isCut) throw error;
    }
  }

  async #act(action: Action): Promise<void> {
    switch (action) {
      case 'snapshot':
        return this.#takeSnapshot();
      case 'clone':
        return this.#makeClone();
      case 'deleteSnapshot':
        return this.#deleteSnapshot();
      case 'deleteClone':
        return this.#deleteClone();
      case 'flush': {
        const volume = this.#pickVolume();
        const answered = volume.ledger.beginFlush();
        await request(volume, (client) => client.flush());
        // After the cut nothing was promised, whatever the order of events on the host.
        if (!this.#isCut) answered();
        return;
      }
      case 'write':
      case 'fuaWrite':
      case 'discard':
      case 'writeZeroes':
        return this.#change(action);
    }
  }

  async #change(action: 'write' | 'fuaWrite' | 'discard' | 'writeZeroes'): Promise<void> {
    const volume = this.#pickVolume();
    const blocks = this.#reserveBlocks(volume);
    if (blocks === undefined) return;
    const firstSector = blocks.first * sectorsPerBlock;
    const count = blocks.count * sectorsPerBlock;
    const isWrite = action === 'write' || action === 'fuaWrite';
    const write = volume.ledger.begin(firstSector, count, !isWrite);
    const offsetBytes = blocks.first * blockBytes;
    const lengthBytes = count * sectorBytes;
    const { ledger, busyBlocks } = volume;
    await request(volume, async (client) => {
      if (action === 'discard') return client.discard(offsetBytes, lengthBytes);
      if (action === 'writeZeroes') return client.writeZeroes(offsetBytes, lengthBytes);
      const content = ledger.content(write, firstSector, count);
      return client.write(offsetBytes, content, action === 'fuaWrite');
    });
    if (!this.#isCut) ledger.answered(write, { firstSector, count }, action === 'fuaWrite');
    for (let index = 0; index < blocks.count; index++) busyBlocks.delete(blocks.first + index);
  }

  /** Blocks without a request under way; mostly in a small part of the volume, so that they are overwritten. */
  #reserveBlocks(volume: Volume): { readonly first: number; readonly count: number } | undefined {
    const count = this.#random.chance(0.6) ? 1 : this.#random.between(2, writeBlocksMax);
    const space = this.#random.chance(0.7) ? blocksPerVolume / 8 : blocksPerVolume;
    const first = this.#random.below(space - count);
    for (let index = 0; index < count; index++) {
      if (volume.busyBlocks.has(first + index)) return undefined;
    }
    for (let index = 0; index < count; index++) volume.busyBlocks.add(first + index);
    return { first, count };
  }

  #pickVolume(): Volume {
    const usable = [...this.#volumes.values()].filter(
      (volume) => volume.presence === 'present' && volume.export !== undefined,
    );
    return this.#random.pick(usable);
  }

  async #takeSnapshot(): Promise<void> {
    if (this.#snapshots.size >= snapshotsMax) return;
    const sources = [...this.#volumes].filter(([, volume]) => volume.presence === 'present');
    const [source, { ledger }] = this.#random.pick(sources);
    const number = this.#nextCopy++;
    const id = `snapshot-${number}`;
    const finish = ledger.beginFork();
    // Whatever becomes of the request, the source's state of this moment is what must be in it.
    const copy: Copy = { presence: 'creating', ledger: finish(number) };
    this.#snapshots.set(id, copy);
    await this.#node.client.putSnapshot(id, { volume: source });
    if (this.#isCut) return;
    copy.ledger = finish(number);
    copy.presence = 'present';
  }

  async #makeClone(): Promise<void> {
    const clones = [...this.#volumes.values()].filter((volume) => volume.isClone);
    const sources = [...this.#snapshots].filter(([, copy]) => copy.presence === 'present');
    if (clones.length >= clonesMax || sources.length === 0) return;
    const [snapshot, { ledger }] = this.#random.pick(sources);
    const number = this.#nextCopy++;
    const id = `clone-${number}`;
    this.#addVolume(id, { ledger: ledger.beginFork()(number), isClone: true });
    const volume = this.#volumes.get(id)!;
    volume.presence = 'creating';
    // Another lane may delete the snapshot meanwhile: then there is nothing to clone.
    try {
      const body = { pool, sizeBytes: volumeBytes, source: { snapshot } };
      await this.#node.client.putVolume(id, body);
    } catch (error) {
      if (this.#isCut || this.#snapshots.get(snapshot)?.presence === 'present') throw error;
      this.#volumes.delete(id);
      return;
    }
    if (this.#isCut) return;
    volume.presence = 'present';
    volume.export = await this.#node.openExport(`volume/${id}`);
  }

  async #deleteSnapshot(): Promise<void> {
    const present = [...this.#snapshots].filter(([, copy]) => copy.presence === 'present');
    if (present.length < 2) return;
    const [id, copy] = this.#random.pick(present);
    copy.presence = 'deleting';
    await this.#node.client.deleteSnapshot(id);
    if (!this.#isCut) this.#snapshots.delete(id);
  }

  async #deleteClone(): Promise<void> {
    const idle = [...this.#volumes].filter(
      ([, { isClone, presence, export: client, requests }]) =>
        isClone && presence === 'present' && client !== undefined && requests === 0,
    );
    if (idle.length === 0) return;
    const [id, volume] = this.#random.pick(idle);
    volume.presence = 'deleting';
    await volume.export?.disconnect();
    if (this.#isCut) return;
    await this.#deleteVolume(id);
    if (!this.#isCut) this.#volumes.delete(id);
  }

  /** A connection that has just ended may still be counted. */
  async #deleteVolume(id: string): Promise<void> {
    await waitUntil(
      `${id} to be deleted`,
      async () => {
        if (this.#isCut) return true;
        await this.#node.client.deleteVolume(id);
        return true;
      },
      { timeoutMs: disconnectTimeoutMs },
    );
  }
}

/** Sends a request on the volume's connection, and counts it while it is under way. */
async function request(volume: Volume, send: (client: NbdClient) => Promise<void>): Promise<void> {
  assert.ok(volume.export !== undefined, 'the volume is open');
  volume.requests += 1;
  try {
    await send(volume.export);
  } finally {
    volume.requests -= 1;
  }
}

/** Takes what a cut has decided, and demands what was certain. */
function settlePresence(kind: string, known: Map<string, Copy>, listed: ReadonlySet<string>): void {
  for (const id of listed) assert.ok(known.has(id), `${kind} ${id} came from nowhere, or back`);
  for (const [id, copy] of known) {
    if (listed.has(id)) copy.presence = 'present';
    else if (copy.presence === 'present') assert.fail(`${kind} ${id} is lost`);
    else known.delete(id);
  }
}

async function verifyExport(id: string, client: NbdClient, ledger: SectorLedger): Promise<void> {
  try {
    for (let offset = 0; offset < volumeBytes; offset += readBytes) {
      ledger.settle(offset / sectorBytes, await client.read(offset, readBytes));
    }
  } catch (error) {
    throw new Error(`Verifying ${id} failed: ${String(error)}`, { cause: error });
  }
}
