/** Groups of one row: servers that nothing else can be measured on. */
import type { BenchRow, GroupContext, RowGroup, Sample } from './row.ts';

/** A row whose servers run. */
export interface OpenRow {
  sample(index: number): Promise<Sample>;
  close(): Promise<void>;
}

/** A row with a group to itself. */
export function singleRow(
  row: BenchRow,
  open: (context: GroupContext) => Promise<OpenRow>,
  options: { readonly samplesMax?: number } = {},
): RowGroup {
  return {
    name: row.name,
    rows: [row],
    ...options,
    open: async (context) => {
      const opened = await open(context);
      return {
        sample: async (index) => new Map([[row.name, await opened.sample(index)]]),
        close: () => opened.close(),
      };
    },
  };
}
