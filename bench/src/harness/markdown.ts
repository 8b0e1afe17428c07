/** The results as they stand in docs/benchmarks.md. */
import { cpus, release, totalmem } from 'node:os';

import { alignTable, formatFigure, formatRatio, formatTable, type SkippedRow } from './table.ts';
import type { RowResult } from './measure.ts';
import type { BenchRow } from './row.ts';

const beginMark = '<!-- results: written by `npm run bench -- --markdown` -->';
const endMark = '<!-- end of results -->';
/** What has rows for each load and peer, shown as one table each. */
const pivots = ['nbd', 'nvme'];
const pivotTexts = new Set(['load', 'unit']);

/** What is written. */
export interface MarkdownInput {
  readonly arguments: readonly string[];
  readonly date: Date;
  readonly results: readonly RowResult[];
  readonly skipped: readonly SkippedRow[];
  readonly rows: readonly BenchRow[];
  readonly commandLines: readonly string[];
}

/** Puts the results between the marks of `document`, or makes a document of them if it has none. */
export function writeResults(document: string, input: MarkdownInput): string {
  const section = `${beginMark}\n\n${formatResults(input)}\n\n${endMark}`;
  const begin = document.indexOf(beginMark);
  const end = document.indexOf(endMark);
  if (begin === -1 || end < begin) return `${section}\n`;
  return document.slice(0, begin) + section + document.slice(end + endMark.length);
}

function formatResults(input: MarkdownInput): string {
  const { date, results, skipped, rows, commandLines } = input;
  const single = results.filter(({ name }) => !pivots.includes(partsOf(name).what));
  const bounded = results.filter(
    ({ name }) =>
      pivots.includes(partsOf(name).what) && rows.some((row) => row.name === name && row.bound),
  );
  const memoryGib = Math.round(totalmem() / 2 ** 30);
  const machine = `${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}), ${memoryGib} GiB`;
  const software = `Linux ${release()}, Node.js ${process.version.slice(1)}`;
  const parts = [
    `Measured on ${date.toISOString().slice(0, 10)} on ${machine}, ${software}:`,
    `\`\`\`sh\n${['npm run bench --', ...input.arguments].join(' ')}\n\`\`\``,
    formatTable([...bounded, ...single], skipped, rows),
    ...pivots.map((what) => formatPivot(what, results)).filter((text) => text !== ''),
    '<details><summary>Command lines</summary>',
    `\`\`\`text\n${commandLines.join('\n')}\n\`\`\``,
    '</details>',
  ];
  return parts.join('\n\n');
}

/** Loads down, peers across: the ratio, and the peer's figure. */
function formatPivot(what: string, results: readonly RowResult[]): string {
  const ours = results.filter(({ name }) => partsOf(name).what === what);
  if (ours.length === 0) return '';
  const peers = [...new Set(ours.map(({ name }) => partsOf(name).against))];
  const loads = [...new Set(ours.map(({ name }) => partsOf(name).load))];
  const lines = loads.map((load) => {
    const ofLoad = ours.filter(({ name }) => partsOf(name).load === load);
    const cells = peers.map((peer) => {
      const found = ofLoad.find(({ name }) => partsOf(name).against === peer);
      return found ? `${formatRatio(found.ratio)} (${formatFigure(found.peer)})` : '-';
    });
    return [load, formatFigure(ofLoad[0]!.ours), ofLoad[0]!.unit, ...cells];
  });
  const intro = `\`${what}/\`: our figure, then ours / peer (the peer's figure) for each peer:`;
  return `${intro}\n\n${alignTable(['load', 'ours', 'unit', ...peers], lines, pivotTexts)}`;
}

function partsOf(name: string): { what: string; load: string; against: string } {
  const [what = '', load = '', against = ''] = name.split('/');
  return { what, load, against };
}
