/**
 * `varve-storaged inspect`: prints what is on the devices of a pool that is not open, and checks all of it. It never
 * writes to a device. What a journal holds beyond the last checkpoint is recovered by the store itself, on an overlay
 * in memory, and the overlay is what is printed and checked then.
 */
import { randomBytes } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';

import type { BlockDevice } from '../device/block-device.ts';
import { openFileDevice } from '../device/file-device.ts';
import type { CellRoot } from '../format/cell-root.ts';
import { openStore } from '../store/open-store.ts';
import { type StoreEnvironment, whenWordChanges } from '../store/store-environment.ts';
import { checkPool } from './check-pool.ts';
import { Findings } from './findings.ts';
import { OverlayDevice } from './overlay-device.ts';
import { describeCatalog } from './print/print-catalog.ts';
import { describeCell, describeJournal } from './print/print-cell.ts';
import { describeSpace } from './print/print-space.ts';
import { describeSuperblock } from './print/print-superblock.ts';
import { readCatalog, readGroupList } from './read/read-cell-tables.ts';
import { readJournal } from './read/read-journal.ts';
import type { PoolReader } from './read/pool-reader.ts';
import { readRoot } from './read/read-root.ts';
import { openPoolReader } from './read/read-superblocks.ts';

/** All invariants hold. */
const exitClean = 0;
/** Something is wrong with the pool. */
const exitFindings = 1;

/** Takes one line of output. */
export type PrintLine = (line: string) => void;

/**
 * Opens devices or files for reading, and inspects the pool on them.
 *
 * @returns The exit code: 0 if all is well, 1 if something was found.
 * @throws DeviceOpenError for what cannot be opened, `in-use` while a daemon serves it.
 */
export async function inspectPool(paths: readonly string[], print: PrintLine): Promise<number> {
  const devices: BlockDevice[] = [];
  try {
    for (const path of paths) devices.push(openFileDevice(path, { isReadOnly: true }));
    return await inspectDevices(devices, print);
  } finally {
    for (const device of devices) await device.close();
  }
}

/** Inspects the pool on devices that are open. */
export async function inspectDevices(
  devices: readonly BlockDevice[],
  print: PrintLine,
): Promise<number> {
  const findings = new Findings();
  const reader = await openPoolReader(devices, findings);
  if (!reader) return conclude(findings.list(), print);
  for (const line of describeSuperblock(reader.superblock, reader.deviceNames)) print(line);
  const isLeft = await printCells(reader, findings, print);
  if (!isLeft) {
    await printNodes(reader, print);
    return conclude(await checkPool(devices), print);
  }
  print('the journal is replayed in memory; what follows is the pool after that');
  const overlays = devices.map((device) => new OverlayDevice(device));
  try {
    await recover(overlays, print);
  } catch (error) {
    if ((error as Error).name !== 'StoreError') throw error;
    await printNodes(reader, print);
    // What the journal holds is lost to the check; the state of the last checkpoint is still worth checking.
    return conclude(
      [`recovery: ${(error as Error).message}`, ...(await checkPool(devices))],
      print,
    );
  }
  const recovered = await openPoolReader(overlays, new Findings());
  if (recovered) await printNodes(recovered, print);
  // Losses show in the ring as it was found; the overlay's journal begins anew.
  return conclude([...findings.list(), ...(await checkPool(overlays))], print);
}

/** Prints roots and journals; true if a journal has records that no checkpoint covers. */
async function printCells(
  reader: PoolReader,
  findings: Findings,
  print: PrintLine,
): Promise<boolean> {
  let isLeft = false;
  for (let cell = 0; cell < reader.geometry.cellCount; cell++) {
    const root = await readRoot(reader, cell, findings);
    if (!root) continue;
    const groups = await readGroupList(reader, root, new Findings());
    for (const line of describeCell(root, groups.entries, reader.geometry)) print(line);
    const journal = await readJournal(reader, root, findings);
    if (!journal) continue;
    for (const line of describeJournal(journal)) print(line);
    if (journal.chain.some(({ records }) => records?.length !== 0)) isLeft = true;
  }
  return isLeft;
}

async function printNodes(reader: PoolReader, print: PrintLine): Promise<void> {
  const roots: CellRoot[] = [];
  for (let cell = 0; cell < reader.geometry.cellCount; cell++) {
    // What is wrong with them is for the checker to say.
    const unheard = new Findings();
    const root = await readRoot(reader, cell, unheard);
    if (!root) continue;
    roots.push(root);
    const catalog = await readCatalog(reader, root, unheard);
    print(`volumes and snapshots of cell ${cell}:`);
    for (const line of describeCatalog(catalog.entries)) print(line);
  }
  const { groupCount, geometry } = reader;
  for (const line of describeSpace(roots, { ...geometry, groupCount })) print(line);
}

/** Lets the store recover and write a checkpoint. @throws StoreError */
async function recover(overlays: readonly OverlayDevice[], print: PrintLine): Promise<void> {
  const store = await openStore(
    {},
    { devices: overlays, environment: inspectionEnvironment(print) },
  );
  await store.close();
}

function inspectionEnvironment(print: PrintLine): StoreEnvironment {
  return {
    nowMs: () => Date.now(),
    after: (delayMs, task) => {
      const timer = setTimeout(task, delayMs);
      return () => clearTimeout(timer);
    },
    yieldTurn: () => setImmediate(),
    whenChanged: whenWordChanges,
    randomUuid: () => new Uint8Array(randomBytes(16)),
    log: (level, message, fields) => {
      if (level !== 'info') print(`recovery ${level}: ${message} ${JSON.stringify(fields)}`);
    },
  };
}

function conclude(findings: readonly string[], print: PrintLine): number {
  const unique = [...new Set(findings)];
  if (unique.length === 0) {
    print('all invariants hold');
    return exitClean;
  }
  for (const finding of unique) print(`found: ${finding}`);
  print(`${unique.length} findings`);
  return exitFindings;
}
