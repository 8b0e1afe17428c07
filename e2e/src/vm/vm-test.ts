/** What a test with virtual machines is, and what it works with. */
import type { SeededRandom } from '@varve/storage-daemon/testing/seeded-random';
import type { GuestImage } from './image/guest-image.ts';

/** What a test gets. */
export interface VmBench {
  readonly image: GuestImage;
  /** The disk with Node.js and the daemon. */
  readonly productImage: string;
  /** The test's own folder. */
  readonly directory: string;
  readonly random: SeededRandom;
  /** Adds a line to the report: figures, and what was seen. */
  readonly note: (line: string) => void;
  /** What to tell when the test fails; the last one counts. */
  readonly explainWith: (explain: () => Promise<string>) => void;
  /** What to end whatever becomes of the test. */
  readonly atEnd: (end: () => Promise<void>) => void;
}

/** One test. */
export interface VmTest {
  /** In kebab case; what `--only` takes. */
  readonly name: string;
  /** One sentence: what holds when it passes. */
  readonly summary: string;
  /** Programs of the host besides QEMU. */
  readonly programs: readonly string[];
  /** Far above what it takes: only a test that hangs meets it. */
  readonly timeoutMs: number;
  /** Throws when something does not hold. */
  readonly run: (bench: VmBench) => Promise<void>;
}
