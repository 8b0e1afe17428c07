/** Runs groups of rows one after the other: leaves out what cannot run here, and goes on after one that failed. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { programPackages } from '../servers/peers.ts';
import { measureGroup, type RowResult } from './measure.ts';
import type { BenchRow, RowGroup } from './row.ts';
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
  /** Each once, in the order in which they were run first. */
  readonly commandLines: readonly string[];
}

/** Backing files live in memory, so that the servers are measured and not a disk. */
const memoryFolder = '/dev/shm';

/** Runs those rows of the groups that `isWanted` names, and collects what came of them. */
export async function runRows(
  groups: readonly RowGroup[],
  isWanted: (row: BenchRow) => boolean,
  options: RunOptions,
): Promise<RunOutcome> {
  const results: RowResult[] = [];
  const skipped: SkippedRow[] = [];
  const failed: SkippedRow[] = [];
  const commandLines = new Set<string>();
  for (const group of groups) {
    const rows = group.rows.filter((row) => isWanted(row)).filter((row) => canRun(row, skipped));
    if (rows.length === 0) continue;
    const startMs = performance.now();
    options.print(`${group.name}: ${rows.length} rows`);
    const directory = mkdtempSync(join(memoryFolder, 'varve-bench-'));
    const removeDirectory = (): void => rmSync(directory, { recursive: true, force: true });
    // An interruption ends the process in the middle of a group, and what lies in memory would stay there.
    process.once('exit', removeDirectory);
    const printCommand = (commandLine: string): void => {
      const text = withoutPlaces(commandLine, directory);
      if (!commandLines.has(text)) options.print(`  $ ${text}`);
      commandLines.add(text);
    };
    try {
      const { sampleCount, sampleSeconds, dataBytes } = options;
      const context = { directory, sampleSeconds, dataBytes, printCommand };
      const measured = await measureGroup(group, rows, context, sampleCount);
      results.push(...measured);
      for (const result of measured) options.print(`  ${describeResult(result)}`);
    } catch (error) {
      const reason = String(error);
      const shown = `failed: ${reason.split('\n')[0]!.slice(0, 80)}`;
      failed.push(...rows.map(({ name }) => ({ name, reason: shown })));
      options.print(`  failed: ${reason}`);
    } finally {
      process.off('exit', removeDirectory);
      removeDirectory();
    }
    options.print(`  took ${Math.round((performance.now() - startMs) / 1000)} s`);
  }
  return { results, skipped, failed, commandLines: [...commandLines] };
}

function describeResult({ name, ours, peer, unit, ratio }: RowResult): string {
  return `${name}: ${ours.toPrecision(4)} / ${peer.toPrecision(4)} ${unit} = ${ratio.toFixed(2)}`;
}

/** A command line as anybody could type it: without this run's folder and ports, relative to the repository. */
function withoutPlaces(commandLine: string, directory: string): string {
  return commandLine
    .replaceAll(directory, '$DIR')
    .replaceAll(`${process.cwd()}/`, '')
    .replaceAll(/(127\.0\.0\.1[: ]|port[= ])\d+/g, '$1$PORT');
}

/** Names with the packages that bring them. */
function canRun({ name, programs }: BenchRow, skipped: SkippedRow[]): boolean {
  const missing = programs
    .filter((program) => spawnSync(program, ['--version']).error !== undefined)
    .map((program) => `${program} (package ${programPackages[program] ?? 'unknown'})`);
  if (missing.length > 0) skipped.push({ name, reason: `skipped: needs ${missing.join(', ')}` });
  return missing.length === 0;
}
