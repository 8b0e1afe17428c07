/** The text of the report: a table with a line per test, and the line of totals. */
import { clusterKinds, type ClusterKind } from '../clusters/cluster.ts';
import type { Outcome } from './end-to-end-test.ts';

const noOutcome = '-';

/** The table: test, one column per kind of cluster, time. */
export function formatTable(outcomes: readonly Outcome[]): string {
  const tests = [...new Set(outcomes.map((outcome) => outcome.test))];
  const rows = [
    ['test', ...clusterKinds, 'time'],
    ...tests.map((test) => [
      test,
      ...clusterKinds.map((cluster) => find(outcomes, test, cluster)?.state ?? noOutcome),
      clusterKinds.map((cluster) => formatElapsed(find(outcomes, test, cluster))).join(' + '),
    ]),
  ];
  const widths = [0, 1, 2, 3].map((column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows
    .map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '))
    .map((line) => line.trimEnd())
    .join('\n');
}

/** The last line of a run: what automatic readers look for. */
export function formatTotals(outcomes: readonly Outcome[]): string {
  const count = (state: Outcome['state']): number =>
    outcomes.filter((outcome) => outcome.state === state).length;
  const skipped = count('skipped');
  return (
    `${count('passed')} passed, ${count('failed')} failed` +
    (skipped === 0 ? '' : `, ${skipped} skipped`)
  );
}

function find(
  outcomes: readonly Outcome[],
  test: string,
  cluster: ClusterKind,
): Outcome | undefined {
  return outcomes.find((outcome) => outcome.test === test && outcome.cluster === cluster);
}

function formatElapsed(outcome: Outcome | undefined): string {
  if (outcome === undefined || outcome.state === 'skipped') return noOutcome;
  return `${(outcome.elapsedMs / 1000).toFixed(1)} s`;
}
