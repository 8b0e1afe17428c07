/** What a row of the table is: one question, answered by a ratio of two figures that were measured in turn. */

/** In what a figure is given. */
export type Unit = 'IOPS' | 'MiB/s' | 'ms' | 'us' | 'MiB' | '%';

/** One measurement of both sides. */
export interface Sample {
  readonly ours: number;
  readonly peer: number;
}

/** What a group may use while it runs. */
export interface GroupContext {
  /** A folder of its own in memory; removed afterwards. */
  readonly directory: string;
  /** How long one side is measured for one sample. */
  readonly sampleSeconds: number;
  /** Bytes of the volumes and files that are read and written. */
  readonly dataBytes: number;
  /** Says which command was run, once for each text. */
  readonly printCommand: (commandLine: string) => void;
}

/** One row of the table. */
export interface BenchRow {
  /** `<what>/<load>/<against>`. */
  readonly name: string;
  /** What `ours` and `peer` are, in a few words. */
  readonly question: string;
  readonly unit: Unit;
  /** Whether a large ratio is good. */
  readonly better: 'higher' | 'lower';
  /** Part of a quick run. */
  readonly isQuick: boolean;
  /** Programs that must be installed. */
  readonly programs: readonly string[];
  /** What the figures have to keep to, where a bound was set. */
  readonly bound?: RowBound;
}

/** A bound that a row's medians keep to or not. */
export interface RowBound {
  /** Which of the two it is about: a ratio, or our own figure in the row's unit. */
  readonly of: 'ratio' | 'ours';
  /** At least if more is better, at most if less is. */
  readonly limit: number;
}

/** Rows that the same servers, filled once, give the figures for. */
export interface RowGroup {
  readonly name: string;
  readonly rows: readonly BenchRow[];
  /** Samples in a full run: fewer than asked for where one sample is long and holds many measurements. */
  readonly samplesMax?: number;
  /** Starts what the given ones of its rows need. */
  open(context: GroupContext, rows: readonly BenchRow[]): Promise<OpenGroup>;
}

/** A group whose servers run. */
export interface OpenGroup {
  /**
   * Measures both sides of each row, one after the other, and answers them by the rows' names; `index` counts from 0,
   * so that the sides can take turns at being first.
   */
  sample(index: number): Promise<ReadonlyMap<string, Sample>>;
  /** Ends everything that was started. */
  close(): Promise<void>;
}
