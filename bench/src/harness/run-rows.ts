/** Runs rows one after the other: leaves out what cannot run here, and goes on after a row that failed. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { programPackages } from '../servers/peers.ts';
import { measureRow, type RowResult } from './measure.ts';
import type { BenchRow } from './row.ts';
import type { SkippedRow } from './table.ts';

/** How rows are run. */
export interface RunOptions {
  readonly sampleCount: number;
  readonly sampleSeconds: number;
  readonly dataBytes: number;
  readonly print: (line: string) => void;
}

/** What came of all rows. */
export interface RunOutcome {
  readonly results: readonly RowResult[];
  readonly skipped: readonly SkippedRow[];
  readonly failed: readonly SkippedRow[];
}

/** Backing files live in memory, so that the servers are measured and not a disk. */
const memoryFolder = '/dev/shm';

/** Runs the rows and collects what came of them. */
export async function runRows(rows: readonly BenchRow[], options: RunOptions): Promise<RunOutcome> {
  const results: RowResult[] = [];
  const skipped: SkippedRow[] = [];
  const failed: SkippedRow[] = [];
  const printed = new Set<string>();
  for (const row of rows) {
    const missing = missingPrograms(row.programs);
    if (missing.length > 0) {
      skipped.push({ name: row.name, reason: `skipped: needs ${missing.join(', ')}` });
      options.print(`${row.name}: needs ${missing.join(', ')}; skipped`);
      continue;
    }
    options.print(`${row.name}: ${row.question}`);
    const directory = mkdtempSync(join(memoryFolder, 'varve-bench-'));
    const removeDirectory = (): void => rmSync(directory, { recursive: true, force: true });
    // An interruption ends the process in the middle of a row, and what lies in memory would stay there.
    process.once('exit', removeDirectory);
    const printCommand = (commandLine: string): void => {
      const text = withoutPlaces(commandLine, directory);
      if (!printed.has(text)) options.print(`  $ ${text}`);
      printed.add(text);
    };
    try {
      const { sampleCount, sampleSeconds, dataBytes } = options;
      const context = { directory, sampleSeconds, dataBytes, printCommand };
      const result = await measureRow(row, context, sampleCount);
      results.push(result);
      const { ours, peer, ratio, unit } = result;
      options.print(`  ${Math.round(ours)} / ${Math.round(peer)} ${unit} = ${ratio.toFixed(2)}`);
    } catch (error) {
      const reason = String(error);
      failed.push({ name: row.name, reason: `failed: ${reason.split('\n')[0]!.slice(0, 80)}` });
      options.print(`  failed: ${reason}`);
    } finally {
      process.off('exit', removeDirectory);
      removeDirectory();
    }
  }
  return { results, skipped, failed };
}

/** A command line as anybody could type it: without this run's folder and ports, relative to the repository. */
function withoutPlaces(commandLine: string, directory: string): string {
  return commandLine
    .replaceAll(directory, '$DIR')
    .replaceAll(`${process.cwd()}/`, '')
    .replaceAll(/(127\.0\.0\.1:|port[= ])\d+/g, '$1$PORT');
}

/** Names with the packages that bring them. */
function missingPrograms(programs: readonly string[]): readonly string[] {
  return programs
    .filter((program) => spawnSync(program, ['--version']).error !== undefined)
    .map((program) => `${program} (package ${programPackages[program] ?? 'unknown'})`);
}
