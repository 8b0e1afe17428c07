/**
 * All sequences of up to two operations on a small pool, with a crash at every step of the device: every state that
 * the media can be in is recovered and judged. Most bugs of crash consistency need no more than that; what needs
 * longer stories is found by random histories.
 *
 * One run of a sequence is recorded: after every event, the durable media, the writes that are not durable and a copy
 * of the model. Afterwards all subsets of these writes (or a sample, if they are many) are tried, equal states only
 * once.
 */
import { sequenceOperations, type SequenceOperation } from './exhaustive-operations.ts';
import { judgeRecovery } from '../model/oracle.ts';
import { SeededRandom } from '../seeded-random.ts';
import type { BlockWrite, SimImage } from '../sim-image.ts';
import type { StoreEngine } from './simulated-machine.ts';
import { answered, openBench, preparePool, type SmallPool } from './small-pool.ts';
import type { StoreModel } from '../model/store-model.ts';

/** What a run of sequences did. */
export interface ExhaustiveReport {
  sequenceCount: number;
  stateCount: number;
  operationCount: number;
  failures: string[];
}

/** How sequences run. */
export interface ExhaustiveOptions {
  /** Operations per sequence, 1 or 2. */
  readonly lengthMax: number;
  /** This part of all sequences, of so many parts. */
  readonly shard: { readonly index: number; readonly count: number };
  readonly hasVolatileCache: boolean;
  /** Both operations are asked for at once; otherwise one after the other. */
  readonly overlapped: boolean;
  readonly failuresMax: number;
}

/** Up to so many un-flushed writes all subsets are tried. */
const subsetWritesMax = 6;
/** Else so many subsets. */
const sampledSubsets = 64;

interface Capture {
  readonly durable: SimImage;
  readonly unflushed: readonly BlockWrite[];
  readonly model: StoreModel;
}

/** Runs all sequences of this shard. */
export async function runExhaustively(
  options: ExhaustiveOptions,
  engine: StoreEngine,
): Promise<ExhaustiveReport> {
  const report: ExhaustiveReport = {
    sequenceCount: 0,
    stateCount: 0,
    operationCount: 0,
    failures: [],
  };
  const start = await preparePool(options, engine);
  let sequenceIndex = 0;
  for (const sequence of sequences(options.lengthMax)) {
    if (sequenceIndex++ % options.shard.count !== options.shard.index) continue;
    report.sequenceCount++;
    report.operationCount += sequence.length;
    try {
      report.stateCount += await runSequence(sequence, { options, engine, start });
    } catch (error) {
      const name = sequence.map((operation) => operation.name).join(', then ');
      report.failures.push(
        `${name}: ${error instanceof Error ? (error.stack ?? '') : String(error)}`,
      );
      if (report.failures.length >= options.failuresMax) break;
    }
  }
  return report;
}

function* sequences(lengthMax: number): Generator<SequenceOperation[]> {
  for (const first of sequenceOperations) {
    yield [first];
    if (lengthMax < 2) continue;
    for (const second of sequenceOperations) yield [first, second];
  }
}

interface SequenceContext {
  readonly options: ExhaustiveOptions;
  readonly engine: StoreEngine;
  readonly start: SmallPool;
}

async function runSequence(
  sequence: readonly SequenceOperation[],
  { options, engine, start }: SequenceContext,
): Promise<number> {
  const model = start.model.clone();
  const bench = await openBench(options, engine, { images: [start.image.clone()], model });
  await bench.machine.drive(
    'judging the start',
    judgeRecovery(model, { ...bench, random: new SeededRandom(3) }),
  );
  const captures: Capture[] = [];
  const device = bench.machine.devices[0]!;
  const capture = () => {
    const former = captures.at(-1)?.model;
    captures.push({
      durable: device.image.afterPowerCut([]),
      unflushed: device.unflushedWrites(),
      model: former?.version === model.version ? former : model.clone(),
    });
  };
  const [first, second] = sequence;
  first!.issue(bench.client, model);
  // What one operation alone can do is tried by the sequence of one.
  if (second) {
    if (!options.overlapped) await answered(bench);
    second.issue(bench.client, model);
  }
  capture();
  await answered(bench, capture);
  bench.machine.crash('kill');
  return tryStates(captures, { options, engine, start });
}

async function tryStates(
  captures: readonly Capture[],
  { options, engine, start }: SequenceContext,
): Promise<number> {
  const seen = new Set<string>();
  const numbers = new Map<Uint8Array, number>();
  const numberOf = (bytes: Uint8Array) => {
    let number = numbers.get(bytes);
    if (number === undefined) numbers.set(bytes, (number = numbers.size));
    return number;
  };
  let stateCount = 0;
  for (const { durable, unflushed, model } of captures) {
    const changed = new Map<number, number>();
    for (const block of durable.writtenBlocks()) {
      const bytes = durable.read(block)!;
      if (bytes !== start.image.read(block)) changed.set(block, numberOf(bytes));
    }
    for (const kept of subsets(unflushed)) {
      const after = new Map(changed);
      for (const { block, bytes } of kept) after.set(block, numberOf(bytes));
      const key = `${model.version}|${[...after].sort(([a], [b]) => a - b).join(' ')}`;
      if (seen.has(key)) continue;
      seen.add(key);
      stateCount++;
      const images = [durable.afterPowerCut(kept)];
      const bench = await openBench(options, engine, { images, model: model.clone() });
      await bench.machine.drive(
        'judging',
        judgeRecovery(bench.model, { ...bench, random: new SeededRandom(stateCount) }),
      );
      bench.machine.crash('kill');
    }
  }
  return stateCount;
}

function* subsets(writes: readonly BlockWrite[]): Generator<BlockWrite[]> {
  const random = new SeededRandom(writes.length);
  const isSampled = writes.length > subsetWritesMax;
  const count = isSampled ? sampledSubsets : 2 ** writes.length;
  for (let subset = 0; subset < count; subset++) {
    yield writes.filter((_, index) =>
      isSampled ? random.chance(0.5) : ((subset >> index) & 1) === 1,
    );
  }
}
