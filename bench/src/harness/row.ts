/** What a row of the table is: one question, answered by a ratio of two figures that were measured in turn. */

/** In what a figure is given. */
export type Unit = 'IOPS' | 'MiB/s' | 'ms' | 'us' | 'MiB' | '%';

/** One measurement of both sides. */
export interface Sample {
  readonly ours: number;
  readonly peer: number;
}

/** What a row may use while it runs. */
export interface RowContext {
  /** A folder of its own in memory; removed afterwards. */
  readonly directory: string;
  /** How long one side is measured for one sample. */
  readonly sampleSeconds: number;
  /** Bytes of the volumes and files that are read and written. */
  readonly dataBytes: number;
  /** Says which command was run, once for each text. */
  readonly printCommand: (commandLine: string) => void;
}

/** A row whose servers run. */
export interface OpenRow {
  /** Measures both sides, one after the other; `index` counts from 0, so that they can take turns at being first. */
  sample(index: number): Promise<Sample>;
  /** Ends everything that was started. */
  close(): Promise<void>;
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
  open(context: RowContext): Promise<OpenRow>;
}
