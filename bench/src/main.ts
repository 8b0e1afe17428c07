/** `npm run bench`: measures the storage daemon against its peers, side by side, and prints one table of ratios. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

import { type BenchOptions, parseCommandLine, sampleCountOf } from './harness/command-line.ts';
import { writeResults } from './harness/markdown.ts';
import type { BenchRow } from './harness/row.ts';
import { runRows, type RunOutcome } from './harness/run-rows.ts';
import { formatTable } from './harness/table.ts';
import { allGroups } from './rows/all-rows.ts';
import { killAllServers } from './servers/server-process.ts';

/** How long one side is measured for one sample. */
const sampleSeconds = 1;
/** Of volumes and files. */
const dataBytes = 512 * 1024 ** 2;

const allRows = allGroups.flatMap(({ rows }) => rows);

async function main(): Promise<number> {
  const names = allRows.map((row) => row.name);
  const args = process.argv.slice(2);
  const options = parseCommandLine(args, names);
  const isWanted = (row: BenchRow): boolean =>
    options.only?.includes(row.name) ?? (row.isQuick || !options.quick);
  if (options.list) {
    for (const row of allRows.filter(isWanted)) {
      console.log(`${row.name}: ${row.question} (${row.unit})`);
    }
    return 0;
  }
  endOnInterruption();
  const sampleCount = sampleCountOf(options);
  const print = (line: string): void => console.log(line);
  const runOptions = { sampleCount, sampleSeconds, dataBytes, print };
  const outcome = await runRows(allGroups, isWanted, runOptions);
  const left = [...outcome.skipped, ...outcome.failed];
  console.log(`\n${formatTable(outcome.results, left, allRows)}`);
  writeFiles(options, args, outcome);
  return outcome.failed.length === 0 ? 0 : 1;
}

function writeFiles(
  { json, markdown }: BenchOptions,
  args: readonly string[],
  { results, skipped, failed, commandLines }: RunOutcome,
): void {
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(results, undefined, 2)}\n`);
  if (markdown === undefined) return;
  const document = existsSync(markdown) ? readFileSync(markdown, 'utf8') : '';
  const input = {
    arguments: args,
    date: new Date(),
    results,
    skipped: [...skipped, ...failed],
    rows: allRows,
    commandLines,
  };
  writeFileSync(markdown, writeResults(document, input));
}

/** Nobody else ends the servers that a row started when the run is interrupted. */
function endOnInterruption(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      killAllServers();
      process.exit(130);
    });
  }
}

process.exitCode = await main();
