/** `npm run bench`: measures the storage daemon against its peers, side by side, and prints one table of ratios. */
import { writeFileSync } from 'node:fs';

import { parseCommandLine } from './harness/command-line.ts';
import { runRows } from './harness/run-rows.ts';
import { formatTable } from './harness/table.ts';
import { allRows } from './rows/all-rows.ts';
import { killAllServers } from './servers/server-process.ts';

const full = { sampleSeconds: 3, dataBytes: 1024 ** 3 };
const quick = { sampleSeconds: 1, dataBytes: 512 * 1024 ** 2 };

async function main(): Promise<number> {
  const names = allRows.map((row) => row.name);
  const options = parseCommandLine(process.argv.slice(2), names);
  const rows = allRows.filter(
    (row) => options.only?.includes(row.name) ?? (row.isQuick || !options.quick),
  );
  if (options.list) {
    for (const row of rows) console.log(`${row.name}: ${row.question} (${row.unit})`);
    return 0;
  }
  endOnInterruption();
  const { results, skipped, failed } = await runRows(rows, {
    ...(options.quick ? quick : full),
    sampleCount: options.samples,
    print: (line) => console.log(line),
  });
  console.log(`\n${formatTable(results, [...skipped, ...failed], allRows)}`);
  if (options.json !== undefined) {
    writeFileSync(options.json, `${JSON.stringify(results, undefined, 2)}\n`);
  }
  return failed.length === 0 ? 0 : 1;
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
