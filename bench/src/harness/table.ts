/** The table of a run, as text that is also a Markdown table. */
import type { RowResult } from './measure.ts';
import type { BenchRow } from './row.ts';

/** A row that was not measured, and why. */
export interface SkippedRow {
  readonly name: string;
  readonly reason: string;
}

const header = ['row', 'ours', 'peer', 'unit', 'ratio', 'of single samples', 'better'];

/** One line for each result, then one for each row that was left out. */
export function formatTable(
  results: readonly RowResult[],
  skipped: readonly SkippedRow[],
  rows: readonly BenchRow[],
): string {
  const lines = results.map((result) => [
    result.name,
    formatFigure(result.ours),
    formatFigure(result.peer),
    result.unit,
    result.ratio.toFixed(2),
    formatSpread(result),
    rows.find((row) => row.name === result.name)?.better ?? '',
  ]);
  const left = skipped.map(({ name, reason }) => [name, '-', '-', '-', '-', reason, '-']);
  const all = [header, ...lines, ...left];
  const widths = header.map((_, column) => Math.max(...all.map((line) => line[column]!.length)));
  const format = (line: readonly string[]): string =>
    `| ${line.map((cell, column) => pad(cell, widths[column]!, column)).join(' | ')} |`;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  return [format(header), rule, ...all.slice(1).map(format)].join('\n');
}

/** Three digits at least, no more than are worth reading. */
export function formatFigure(figure: number): string {
  if (figure >= 1000) return `${Math.round(figure)}`;
  if (figure >= 100) return figure.toFixed(0);
  return figure >= 10 ? figure.toFixed(1) : figure.toFixed(2);
}

/** The smallest and the largest ratio of samples that were taken one after the other. */
function formatSpread({ samples }: RowResult): string {
  const ratios = samples.map(({ ours, peer }) => ours / peer);
  return `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`;
}

/** Names to the left, figures to the right. */
function pad(cell: string, width: number, column: number): string {
  return column === 0 || column === 3 || column > 4 ? cell.padEnd(width) : cell.padStart(width);
}
