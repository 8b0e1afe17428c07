/** The table of a run, as text that is also a Markdown table. */
import type { RowResult } from './measure.ts';
import type { BenchRow } from './row.ts';

/** A row that was not measured, and why. */
export interface SkippedRow {
  readonly name: string;
  readonly reason: string;
}

const header = [
  'row',
  'ours',
  'peer',
  'unit',
  'ratio',
  'of single samples',
  'samples',
  'better',
  'bound',
];
const unmeasured = ['-', '-', '-', '-'];
const textColumns = new Set(['row', 'unit', 'of single samples', 'better', 'bound']);

/** One line for each result, then one for each row that was left out. */
export function formatTable(
  results: readonly RowResult[],
  skipped: readonly SkippedRow[],
  rows: readonly BenchRow[],
): string {
  const lines = results.map((result) => {
    const row = rows.find(({ name }) => name === result.name);
    return [
      result.name,
      formatFigure(result.ours),
      formatFigure(result.peer),
      result.unit,
      formatRatio(result.ratio),
      formatSpread(result),
      `${result.samples.length}`,
      row?.better ?? '',
      row ? formatBound(row, result) : '',
    ];
  });
  const left = skipped.map(({ name, reason }) => [name, ...unmeasured, reason, '0', '-', '-']);
  return alignTable(header, [...lines, ...left], textColumns);
}

/** A Markdown table whose columns have one width each; text, by its columns' heads, stands to the left. */
export function alignTable(
  heads: readonly string[],
  lines: readonly (readonly string[])[],
  lefts: ReadonlySet<string>,
): string {
  const all = [heads, ...lines];
  const widths = heads.map((_, column) => Math.max(...all.map((line) => line[column]!.length)));
  const format = (line: readonly string[]): string =>
    `| ${line.map((cell, column) => pad(cell, widths[column]!, lefts.has(heads[column]!))).join(' | ')} |`;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  return [format(heads), rule, ...lines.map(format)].join('\n');
}

/** Three digits at least, no more than are worth reading. */
export function formatFigure(figure: number): string {
  if (figure >= 1000) return `${Math.round(figure)}`;
  if (figure >= 100) return figure.toFixed(0);
  return figure >= 10 ? figure.toFixed(1) : figure.toFixed(2);
}

/** Two decimals; what is below a hundredth is shown by its own digits. */
export function formatRatio(ratio: number): string {
  return ratio > 0 && ratio < 0.01 ? ratio.toPrecision(1) : ratio.toFixed(2);
}

/** What the row has to keep to, and whether it does. */
export function formatBound(
  { better, bound, unit }: Pick<BenchRow, 'better' | 'bound' | 'unit'>,
  { ours, ratio }: Pick<RowResult, 'ours' | 'ratio'>,
): string {
  if (!bound) return '';
  const figure = bound.of === 'ratio' ? ratio : ours;
  const isKept = better === 'higher' ? figure >= bound.limit : figure <= bound.limit;
  const sign = better === 'higher' ? '>=' : '<=';
  const suffix = bound.of === 'ratio' ? '' : ` ${unit}`;
  return `${sign} ${bound.limit}${suffix}: ${isKept ? 'yes' : 'no'}`;
}

/** The smallest and the largest ratio of samples that were taken one after the other. */
function formatSpread({ samples }: RowResult): string {
  const ratios = samples.map(({ ours, peer }) => ours / peer);
  return `${formatRatio(Math.min(...ratios))} to ${formatRatio(Math.max(...ratios))}`;
}

/** Text to the left, figures to the right. */
function pad(cell: string, width: number, isText: boolean): string {
  return isText ? cell.padEnd(width) : cell.padStart(width);
}
