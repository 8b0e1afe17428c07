/** Loads what a record needs before it is applied: apply() is synchronous. */
import { assertNever } from '@varve/common/assert';

import { decodeDeadPage } from '../format/dead-list.ts';
import type { JournalRecord } from '../format/journal-record.ts';
import type { MapFrame } from '../map/map-frame.ts';
import type { ReadPage } from '../map/map-pages.ts';
import type { MissingPage } from '../map/map-residency.ts';
import type { MissingDeadPage } from '../reclaim/dead-sequence.ts';
import { clusterSizeBlocks } from '../units.ts';
import type { CellState } from './cell-state.ts';
import type { StoreError } from './store-error.ts';

/** Called once, with an error or null. */
type ResidencyCompletion = (error: StoreError | null) => void;

type Missing = MissingPage | MissingDeadPage;

/** A search that loads pages. */
interface Search {
  readonly find: () => Missing | undefined;
  readonly done: ResidencyCompletion;
  readonly held: MapFrame[];
}

/** Finds and loads missing pages. */
export class RecordResidency {
  readonly #state: CellState;
  readonly #readPage: ReadPage;

  constructor(dependencies: { state: CellState; readPage: ReadPage }) {
    this.#state = dependencies.state;
    this.#readPage = dependencies.readPage;
  }

  /** Runs `done` once everything that `record` needs is resident: before the call returns if it is now. */
  ensure(record: JournalRecord, done: ResidencyCompletion): void {
    this.ensureFound(() => this.#findFor(record), done);
  }

  /**
   * Loads until `find` finds nothing missing. What it has found stays resident until `done` returns, and no longer:
   * whoever goes on later has to look again.
   */
  ensureFound(find: () => Missing | undefined, done: ResidencyCompletion): void {
    const missing = find();
    if (missing) this.#loadAll({ find, done, held: [] }, missing);
    else {
      this.#state.pages.countHit();
      done(null);
    }
  }

  /** As `ensure`, as a promise. */
  ensured(record: JournalRecord): Promise<void> | undefined {
    if (!this.#findFor(record)) return undefined;
    return new Promise((resolve, reject) => {
      this.ensure(record, (error) => (error ? reject(error) : resolve()));
    });
  }

  #findFor(record: JournalRecord): Missing | undefined {
    const { residency, walk, queue } = this.#state;
    switch (record.op) {
      case 'set':
      case 'clear':
      case 'setClusters':
      case 'setPart':
      case 'valid':
      case 'heal':
      case 'split': {
        const { node, lbn, count } = mappedRange(record)!;
        return residency.findMissing(this.#state.nodeOf(node), lbn, count);
      }
      case 'walk':
        return walk.findMissing(this.#state.nodeOf(record.node), record.cursor);
      case 'freed':
        return queue.findMissing(record.item, record.done);
      case 'groupGet':
      case 'groupPut':
      case 'create':
      case 'snapshot':
      case 'clone':
      case 'revert':
      case 'resize':
      case 'attributes':
      case 'delete':
        return undefined;
      default:
        return assertNever(record, 'journal record');
    }
  }

  /** What was loaded is held meanwhile, so that each page brings the search nearer to its end. */
  #loadAll(search: Search, missing: Missing): void {
    this.#load(missing, (error, frame) => {
      if (frame) {
        this.#state.pages.hold(frame);
        search.held.push(frame);
      }
      const next = error ? undefined : search.find();
      if (next) {
        this.#loadAll(search, next);
        return;
      }
      search.done(error);
      this.#state.pages.release(search.held);
    });
  }

  #load(
    missing: Missing,
    done: (error: StoreError | null, frame: MapFrame | undefined) => void,
  ): void {
    if ('pointer' in missing) {
      this.#state.pages.load(missing, done);
      return;
    }
    this.#readPage(missing, (error, page) => {
      if (!error) missing.resolve(decodeDeadPage(page, missing.count));
      done(error, undefined);
    });
  }
}

/** The blocks of a node whose entries a record changes; undefined for a record of another kind. */
export function mappedRange(
  record: JournalRecord,
): { readonly node: number; readonly lbn: number; readonly count: number } | undefined {
  switch (record.op) {
    case 'set':
    case 'clear':
      return record;
    case 'setClusters':
      return { node: record.node, ...blocksOf(record.cluster, record.count) };
    case 'setPart':
    case 'valid':
    case 'heal':
    case 'split':
      return { node: record.node, ...blocksOf(record.cluster, 1) };
    default:
      return undefined;
  }
}

function blocksOf(cluster: number, count: number): { lbn: number; count: number } {
  return { lbn: cluster * clusterSizeBlocks, count: count * clusterSizeBlocks };
}
