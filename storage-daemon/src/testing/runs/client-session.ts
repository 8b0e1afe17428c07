/**
 * The plumbing of simulated clients: I/O objects, operations under way, and which answers are tolerated. Each answer
 * is judged when the scheduler brings it; what it reveals is kept until the simulator asks.
 */
import type { NodeIo, Store } from '../../store/store-api.ts';
import { StoreError, type StoreErrorKind } from '../../store/store-error.ts';
import { blockSizeBytes } from '../../units.ts';
import type { BlockReading } from '../model/judge-content.ts';
import { nameOf } from '../model/node-summary.ts';
import { SimulationFailure, expectHolds } from '../model/simulation-failure.ts';
import type { ModelNode, PendingChange, StoreModel } from '../model/store-model.ts';
import type { SeededRandom } from '../seeded-random.ts';

/** What is allowed to go wrong in this run. */
export interface ClientTolerance {
  /** The pool is small enough to fill up: `insufficient-space` is an answer, and a discard may be skipped. */
  readonly noSpace: boolean;
  /** The devices fail requests: any operation may fail, and is then uncertain. */
  readonly deviceErrors: boolean;
}

/** What users expect, and who is told what they do. */
export interface ClientOptions {
  readonly tolerance: ClientTolerance;
  /** Users rely on what was answered without a flush; only the process may die. */
  readonly keepsAnswers?: boolean;
  readonly trace: (line: string) => void;
}

/** A volume's I/O objects: several may be open, and a flush through one covers all. */
interface OpenVolume {
  readonly ios: NodeIo[];
  pendingCount: number;
}

/** Blocks per read when a whole node is read. */
const readBlocksMax = 32;
/** I/O objects of one volume. */
const iosMax = 3;

/** A control operation: what it changes, how it is asked for, what its answers mean. */
export interface ControlOperation<T> {
  readonly change?: PendingChange;
  readonly call: () => Promise<T>;
  readonly succeeded: (result: T) => void;
  readonly failed?: () => void;
  readonly mayFailWith?: readonly StoreErrorKind[];
  readonly ended: () => void;
}

/** Everything that users of one incarnation of a store have under way. */
export class ClientSession {
  /** Operations asked for so far. */
  operationCount = 0;
  /** A device error has reached a client: the incarnation should end soon. */
  sawDeviceError = false;
  /** `insufficient-space` answers. */
  noSpaceCount = 0;
  readonly tolerance: ClientTolerance;
  readonly keepsAnswers: boolean;
  readonly #store: Store;
  readonly #model: StoreModel;
  readonly #trace: (line: string) => void;
  readonly #random: SeededRandom;
  readonly #open = new Map<ModelNode, OpenVolume>();
  readonly #pending = new Map<number, string>();
  #failure: Error | undefined;

  constructor(
    options: ClientOptions,
    dependencies: { store: Store; model: StoreModel; random: SeededRandom },
  ) {
    this.tolerance = options.tolerance;
    this.keepsAnswers = options.keepsAnswers ?? false;
    this.#trace = options.trace;
    this.#store = dependencies.store;
    this.#model = dependencies.model;
    this.#random = dependencies.random;
  }

  /** Operations under way. */
  get pendingCount(): number {
    return this.#pending.size;
  }

  /** Throws what an answer revealed. */
  checkFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** What has no answer yet, for messages. */
  describePending(): string {
    return [...this.#pending.values()].slice(0, 8).join('; ');
  }

  /** Submits I/O through one of the volume's I/O objects. */
  submitIo(
    volume: ModelNode,
    what: string,
    submit: (io: NodeIo, done: (error: StoreError | null) => void) => void,
    outcome: { succeeded: () => void; failed: () => void },
  ): void {
    const open = this.openVolume(volume);
    const number = this.#begin(what);
    open.pendingCount++;
    let answered = false;
    submit(this.#random.pick(open.ios), (error) => {
      this.#guard(() => {
        expectHolds(!answered, () => `${what}: answered twice`);
        answered = true;
        open.pendingCount--;
        this.#end(number, what, error);
        if (!error) outcome.succeeded();
        else {
          this.#checkTolerated(what, error, []);
          outcome.failed();
        }
      });
    });
    expectHolds(!answered, () => `${what}: answered before the call returned`);
  }

  /** Asks for a control operation. */
  control<T>(what: string, operation: ControlOperation<T>): void {
    const number = this.#begin(what);
    const { change } = operation;
    if (change) this.#model.pending.add(change);
    if (change?.type === 'delete') change.node.state = 'deleting';
    const settle = (error: unknown, apply: () => void) =>
      this.#guard(() => {
        this.#end(number, what, error);
        if (error) this.#checkTolerated(what, error, operation.mayFailWith ?? []);
        const isUncertain = error !== null && this.tolerance.deviceErrors;
        if (change && !isUncertain) {
          this.#model.pending.delete(change);
          if (change.type === 'delete' && error) change.node.state = 'live';
        }
        apply();
        operation.ended();
      });
    let promise: Promise<T>;
    try {
      promise = operation.call();
    } catch (error) {
      promise = Promise.reject(error);
    }
    void promise.then(
      (result) => settle(null, () => operation.succeeded(result)),
      (error: unknown) => settle(error, () => operation.failed?.()),
    );
  }

  /** Ends all I/O objects. */
  async closeAll(): Promise<void> {
    for (const node of this.#open.keys()) await this.close(node);
  }

  /** Reads every block of a node through an I/O of its own. */
  async readAll(node: ModelNode): Promise<BlockReading[]> {
    const io = this.#store.openIo(nameOf(node));
    expectHolds(
      io.sizeBlocks === node.sizeBlocks,
      () => `${node.name} has ${io.sizeBlocks} blocks instead of ${node.sizeBlocks}`,
    );
    const readings: BlockReading[] = [];
    const reads: Promise<void>[] = [];
    for (let lbn = 0; lbn < node.sizeBlocks; lbn += readBlocksMax) {
      const blockCount = Math.min(readBlocksMax, node.sizeBlocks - lbn);
      const target = new Uint8Array(blockCount * blockSizeBytes).fill(0xdd);
      for (let index = 0; index < blockCount; index++) {
        const start = index * blockSizeBytes;
        readings.push({ lbn: lbn + index, bytes: target.subarray(start, start + blockSizeBytes) });
      }
      reads.push(
        new Promise((resolve, reject) => {
          io.read(lbn, target, (error) => (error ? reject(error) : resolve()));
        }),
      );
    }
    await Promise.all(reads);
    await io.close();
    return readings;
  }

  /** Makes sure that an I/O object of the volume is open. */
  openVolume(volume: ModelNode): OpenVolume {
    let open = this.#open.get(volume);
    if (!open) {
      open = { ios: [], pendingCount: 0 };
      this.#open.set(volume, open);
    }
    if (open.ios.length === 0 || (open.ios.length < iosMax && this.#random.chance(0.05))) {
      const io = this.#store.openIo(nameOf(volume));
      if (this.keepsAnswers) io.keepsAnswers = true;
      open.ios.push(io);
    }
    return open;
  }

  /** Closes all I/O objects of a node. */
  async close(node: ModelNode): Promise<void> {
    const open = this.#open.get(node);
    if (!open) return;
    this.#open.delete(node);
    await Promise.all(open.ios.map((io) => io.close()));
    expectHolds(open.pendingCount === 0, () => `${node.name}: closed with I/O under way`);
  }

  #begin(what: string): number {
    this.operationCount++;
    this.#model.version++;
    this.#pending.set(this.operationCount, what);
    this.#trace(`${this.operationCount}> ${what}`);
    return this.operationCount;
  }

  #end(number: number, what: string, error: unknown): void {
    this.#model.version++;
    this.#pending.delete(number);
    this.#trace(`${number}< ${what}${error ? `: ${describe(error)}` : ''}`);
  }

  #checkTolerated(what: string, error: unknown, mayFailWith: readonly StoreErrorKind[]): void {
    if (error instanceof SimulationFailure) throw error;
    if (!(error instanceof StoreError)) {
      throw new SimulationFailure(`${what}: failed with ${describe(error)}`, { cause: error });
    }
    if (error.kind === 'insufficient-space' && this.tolerance.noSpace) {
      this.noSpaceCount++;
      expectHolds(!what.startsWith('delete'), () => `${what}: no space to delete`);
      return;
    }
    if (mayFailWith.includes(error.kind)) return;
    if (this.tolerance.deviceErrors) {
      this.sawDeviceError = true;
      return;
    }
    throw new SimulationFailure(`${what}: failed with ${describe(error)}`, { cause: error });
  }

  #guard(judge: () => void): void {
    try {
      judge();
    } catch (error) {
      this.#failure ??= error as Error;
    }
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
