/** The text of the report: a table with a line per test, and the line of totals. */
import { clusterKinds } from '../clusters/cluster.ts';
import type { Ground, Outcome } from './end-to-end-test.ts';

const noOutcome = '-';

/** The table: test, one column per kind of cluster, one for virtual machines where there were some, time. */
export function formatTable(outcomes: readonly Outcome[]): string {
  const grounds = groundsOf(outcomes);
  const tests = [...new Set(outcomes.map((outcome) => outcome.test))];
  const rows = [
    ['test', ...grounds, 'time'],
    ...tests.map((test) => [
      test,
      ...grounds.map((cluster) => find(outcomes, test, cluster)?.state ?? noOutcome),
      grounds.map((cluster) => formatElapsed(find(outcomes, test, cluster))).join(' + '),
    ]),
  ];
  const widths = (rows[0] ?? []).map((_, column) =>
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

function groundsOf(outcomes: readonly Outcome[]): readonly Ground[] {
  const isVm = ({ cluster }: Outcome): boolean => cluster === 'vm';
  if (outcomes.length > 0 && outcomes.every(isVm)) return ['vm'];
  return outcomes.some(isVm) ? [...clusterKinds, 'vm'] : clusterKinds;
}

function find(outcomes: readonly Outcome[], test: string, cluster: Ground): Outcome | undefined {
  return outcomes.find((outcome) => outcome.test === test && outcome.cluster === cluster);
}

function formatElapsed(outcome: Outcome | undefined): string {
  if (outcome === undefined || outcome.state === 'skipped') return noOutcome;
  return `${(outcome.elapsedMs / 1000).toFixed(1)} s`;
}
