/**
 * Runs checkpoints of a cell, one at a time: cut, write the pages, flush (R8), write both copies of the root with
 * FUA, and only then tell the cell, which gives the old pages and the ring back (J8).
 */
import {
  encodeCellRoot,
  rootCopies,
  type CellRoot,
  type JournalStart,
} from '../../format/cell-root.ts';
import { cellRootBlock } from '../../format/pool-layout.ts';
import type { MapFrame } from '../../map/map-frame.ts';
import { blockSizeBytes } from '../../units.ts';
import type { CellState } from '../cell-state.ts';
import { cutCheckpoint, type CellTables } from './checkpoint-image.ts';
import type { PlacedPage } from './page-sink.ts';
import { forEachConcurrently } from './for-each-concurrently.ts';
import { ioFailure, type PoolDevices } from '../pool-devices.ts';

/** Blocks of one write: 1 MiB. */
const writeBlocksMax = 256;

/** A root that is durable. */
export interface DurableRoot {
  readonly generation: number;
  readonly checkpoint: number;
  readonly cutRecord: number;
  readonly start: JournalStart;
  /** Pages of maps that it has made durable: to be released once the cell knows. */
  readonly frames: readonly MapFrame[];
}

/** What the checkpointer changes and where it writes. */
export interface CheckpointerDependencies {
  readonly state: CellState;
  readonly tables: CellTables;
  readonly devices: PoolDevices;
}

/** Writes roots. */
export class Checkpointer {
  readonly #poolUuid: Uint8Array;
  readonly #state: CellState;
  readonly #tables: CellTables;
  readonly #devices: PoolDevices;
  #rootGeneration: number;
  pagesWritten = 0;
  checkpoints = 0;

  constructor(
    options: { poolUuid: Uint8Array; rootGeneration: number },
    dependencies: CheckpointerDependencies,
  ) {
    this.#poolUuid = options.poolUuid;
    this.#rootGeneration = options.rootGeneration;
    this.#state = dependencies.state;
    this.#tables = dependencies.tables;
    this.#devices = dependencies.devices;
  }

  get rootGeneration(): number {
    return this.#rootGeneration;
  }

  /**
   * Cuts at once, before the call returns; resolves when the root is durable. @throws StoreError if the device fails
   */
  async run(options: { openGeneration: number; start: JournalStart }): Promise<DurableRoot> {
    const { openGeneration, start } = options;
    const generation = this.#rootGeneration + 1;
    const cutRecord = this.#state.recordNumber;
    const { root, pages, frames } = cutCheckpoint(this.#state, this.#tables, {
      poolUuid: this.#poolUuid,
      rootGeneration: generation,
      openGeneration,
      journalStart: start,
    });
    const checkpoint = this.#state.checkpointNumber;
    await this.#writePages(pages);
    if (this.#devices.hasVolatileCache) await this.#flush(); // R8
    await this.#writeRoot(root);
    this.#rootGeneration = generation;
    this.checkpoints++;
    return { generation, checkpoint, cutRecord, start, frames };
  }

  async #writePages(pages: readonly PlacedPage[]): Promise<void> {
    this.pagesWritten += pages.length;
    await forEachConcurrently(joinRuns(pages, this.#state.geometry.groupBlocks), ({ pbn, bytes }) =>
      this.#io(`Writing ${bytes.length} bytes of metadata at block ${pbn}`, (done) =>
        this.#devices.write(pbn, bytes, false, done),
      ),
    );
  }

  #flush(): Promise<void> {
    return this.#io('Flushing the devices', (done) => this.#devices.flush(done));
  }

  async #writeRoot(root: CellRoot): Promise<void> {
    const copies = Array.from({ length: rootCopies }, (_, copyNumber) => {
      const page = new Uint8Array(blockSizeBytes);
      encodeCellRoot(root, copyNumber, page);
      const block = cellRootBlock(root.cell, root.rootGeneration, copyNumber);
      return this.#io(`Writing root ${root.rootGeneration} of cell ${root.cell}`, (done) =>
        this.#devices.writeFixed(block, page, done),
      );
    });
    await Promise.all(copies);
  }

  #io(action: string, submit: (done: Parameters<PoolDevices['flush']>[0]) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      submit((error) => (error ? reject(ioFailure(action, error)) : resolve()));
    });
  }
}

/** Pages beside each other in one group become one write. */
function joinRuns(
  pages: readonly PlacedPage[],
  groupBlocks: number,
): { pbn: number; bytes: Uint8Array }[] {
  const sorted = [...pages].sort((a, b) => a.pbn - b.pbn);
  const runs: { pbn: number; bytes: Uint8Array }[] = [];
  for (let first = 0; first < sorted.length;) {
    let count = 1;
    const { pbn } = sorted[first]!;
    const countMax = Math.min(writeBlocksMax, groupBlocks - (pbn % groupBlocks));
    while (count < countMax && sorted[first + count]?.pbn === pbn + count) count++;
    const bytes = joinPages(sorted.slice(first, first + count));
    runs.push({ pbn, bytes });
    first += count;
  }
  return runs;
}

/** The pages in a row: where they lie, if they do so in a row there, else a copy. */
function joinPages(placed: readonly PlacedPage[]): Uint8Array {
  const lengthBytes = placed.length * blockSizeBytes;
  const { buffer, byteOffset } = placed[0]!.page;
  const isRow = placed.every(
    ({ page }, index) =>
      page.buffer === buffer && page.byteOffset === byteOffset + index * blockSizeBytes,
  );
  if (isRow) return new Uint8Array(buffer, byteOffset, lengthBytes);
  const bytes = new Uint8Array(lengthBytes);
  for (const [index, { page }] of placed.entries()) bytes.set(page, index * blockSizeBytes);
  return bytes;
}
