/** What work on clusters needs of its cell. */
import type { IoTracker } from '../../allocator/io-tracker.ts';
import type { JournalRecord } from '../../format/journal-record.ts';
import type { CellSpace } from '../cell-space.ts';
import type { CellState } from '../cell-state.ts';
import type { PoolDevices } from '../pool-devices.ts';
import type { RecordResidency } from '../record-residency.ts';
import type { StoreError } from '../store-error.ts';

/** A cell, as far as it is needed here. */
export interface WorkedCell {
  readonly state: CellState;
  readonly space: CellSpace;
  readonly residency: RecordResidency;
  readonly devices: PoolDevices;
  readonly tracker: IoTracker;
  readonly inPlaceTracker: IoTracker;
  readonly background: { readonly hasWork: boolean };
  readonly failure: StoreError | undefined;
  readonly isStopped: boolean;
  readonly isRingFull: boolean;
  readonly dataBlocksRead: number;
  readonly dataBlocksWritten: number;
  record(records: readonly JournalRecord[]): void;
  endIo(generation: number): void;
  whenRingHasRoom(resume: () => void): void;
}
