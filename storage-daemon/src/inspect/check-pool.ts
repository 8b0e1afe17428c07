/**
 * The offline checker: reads a pool that is not open, through the format codecs alone, and says what is wrong with it.
 * It judges the state of the last checkpoint; of records that the journal holds beyond it, it only says that they are
 * there. The list of what must hold is in docs/on-disk-format.md.
 */
import type { BlockDevice } from '../device/block-device.ts';
import { type CellSummary, checkCell } from './check/check-cell.ts';
import { Findings } from './findings.ts';
import { openPoolReader } from './read/read-superblocks.ts';

/** How the pool was left. */
export interface CheckOptions {
  /** By a crash: a journal that is to be replayed, and one lost copy of the newest root, are no findings. */
  readonly isAfterCrash?: boolean;
}

/** What is wrong with the pool on these devices, as sentences; nothing if all is well. Never throws for a bad disk. */
export async function checkPool(
  devices: readonly BlockDevice[],
  { isAfterCrash = false }: CheckOptions = {},
): Promise<readonly string[]> {
  const findings = new Findings();
  const reader = await openPoolReader(devices, findings);
  if (!reader) return findings.list();
  const owners = new Map<number, number>();
  const names = new Map<string, number>();
  for (let cell = 0; cell < reader.geometry.cellCount; cell++) {
    const summary = await checkCell({ reader, cell, isAfterCrash }, findings);
    checkGroups({ cell, owners }, summary, findings);
    // Roots of two cells are of different moments: what was deleted in one may have been made anew in the other.
    checkNames({ cell, names: isAfterCrash ? new Map() : names }, summary, findings);
  }
  return findings.list();
}

function checkGroups(
  { cell, owners }: { cell: number; owners: Map<number, number> },
  { groups }: CellSummary,
  findings: Findings,
): void {
  for (const { group } of groups) {
    const owner = owners.get(group);
    findings.expect(
      owner === undefined,
      () => `group ${group} belongs to cell ${owner} and to cell ${cell}`,
    );
    owners.set(group, cell);
  }
}

function checkNames(
  { cell, names }: { cell: number; names: Map<string, number> },
  { nodes }: CellSummary,
  findings: Findings,
): void {
  for (const { name, kind, isDeleted } of nodes) {
    if (name === '' || isDeleted) continue;
    const key = `${kind} "${name}"`;
    const other = names.get(key);
    findings.expect(other === undefined, () => `${key} is in cell ${other} and in cell ${cell}`);
    names.set(key, cell);
  }
}
