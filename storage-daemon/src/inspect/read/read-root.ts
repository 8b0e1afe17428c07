/** The root that a cell's last checkpoint wrote. */
import { type CellRoot, decodeCellRoot, rootCopies } from '../../format/cell-root.ts';
import { cellRootBlock } from '../../format/pool-layout.ts';
import { Findings } from '../findings.ts';
import type { PoolReader } from './pool-reader.ts';

/**
 * The newest root with a valid copy; undefined if there is none. Of the older generation nothing is asked: a crash may
 * leave it torn, and nothing reads it as long as the newer one is there.
 */
export async function readRoot(
  reader: PoolReader,
  cell: number,
  findings: Findings,
): Promise<CellRoot | undefined> {
  const slots: Findings[] = [];
  let newest: CellRoot | undefined;
  let newestSlot = 0;
  for (const slot of [0, 1]) {
    const slotFindings = new Findings();
    slots.push(slotFindings);
    const roots = await readCopies(reader, { cell, slot }, slotFindings);
    for (const root of roots) {
      if (newest && root.rootGeneration <= newest.rootGeneration) continue;
      newest = root;
      newestSlot = slot;
    }
  }
  if (newest) findings.addAll(slots[newestSlot]!);
  else findings.add(`cell ${cell}: no root can be read`);
  return newest;
}

async function readCopies(
  reader: PoolReader,
  { cell, slot }: { cell: number; slot: number },
  findings: Findings,
): Promise<CellRoot[]> {
  const { poolUuid } = reader.superblock;
  const roots: CellRoot[] = [];
  for (let copyNumber = 0; copyNumber < rootCopies; copyNumber++) {
    const what = `cell ${cell}, copy ${copyNumber} of the root in slot ${slot}`;
    const root = await findings.attempt(what, async () => {
      const page = await reader.readFixed(cellRootBlock(cell, slot, copyNumber));
      return decodeCellRoot(page, { cell, poolUuid, copyNumber });
    });
    if (!root) continue;
    findings.expect(
      root.rootGeneration % 2 === slot,
      () => `${what}: generation ${root.rootGeneration} belongs into the other slot`,
    );
    roots.push(root);
  }
  const [first, second] = roots.map((root) => JSON.stringify(root));
  findings.expect(
    second === undefined || first === second,
    () => `cell ${cell}: the copies of the root in slot ${slot} differ`,
  );
  return roots;
}
