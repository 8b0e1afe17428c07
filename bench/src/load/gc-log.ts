/** Pauses for garbage collection, as `node --trace-gc` prints them. */

/** One pause. */
export interface GcPause {
  /** What tells the threads of a process apart. */
  readonly isolate: string;
  /** E.g. `Scavenge` or `Mark-Compact`. */
  readonly kind: string;
  readonly ms: number;
}

/** E.g. `[7:0x5581]   812 ms: Scavenge 24.2 (26.1) -> 23.5 (28.1) MB, pooled: 0 MB, 0.63 / 0.00 ms  (...)`. */
const pausePattern = /^\[\d+:(0x[0-9a-f]+)\]\s+\d+ ms: ([A-Z][\w-]*).*?, ([\d.]+) \/ [\d.]+ ms/;

/** The pauses of whole lines, in order. */
export function parsePauses(text: string): GcPause[] {
  return text.split('\n').flatMap((line) => {
    const found = pausePattern.exec(line);
    return found ? [{ isolate: found[1]!, kind: found[2]!, ms: Number(found[3]) }] : [];
  });
}
