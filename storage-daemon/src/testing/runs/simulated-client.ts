/**
 * Issues operations on a store and keeps the reference model in step with the answers. It never waits: an operation is
 * asked for, and its answer is judged when the scheduler brings it, among those of many others on the same blocks.
 *
 * Rules that keep every answer judgeable: at most one control operation on a node at a time (deletes of its ancestors,
 * and I/O, run freely beside it); a cut is resolved by reading before its source is deleted, reverted or cut again.
 */
import { assert } from '@varve/common/assert';

import type { NodeIo, NodeName, NodeSummary, Store } from '../../store/store-api.ts';
import { StoreError, type StoreErrorKind } from '../../store/store-error.ts';
import { blockSizeBytes } from '../../units.ts';
import { encodeBlock } from '../model/block-content.ts';
import { judgeCut, judgeRead, type BlockReading } from '../model/judge-content.ts';
import type { SeededRandom } from '../seeded-random.ts';
import { SimulationFailure, expectHolds } from '../model/simulation-failure.ts';
import type { ModelNode, PendingChange, StoreModel } from '../model/store-model.ts';
import type { WriteEntry } from '../model/write-register.ts';

/** What is allowed to go wrong in this run. */
export interface ClientTolerance {
  /** The pool is small enough to fill up: `insufficient-space` is an answer, and a discard may be skipped. */
  readonly noSpace: boolean;
  /** The devices fail requests: any operation may fail, and is then uncertain. */
  readonly deviceErrors: boolean;
}

/** A range of blocks. */
export interface BlockRange {
  readonly lbn: number;
  readonly blockCount: number;
}

interface OpenVolume {
  readonly io: NodeIo;
  pendingCount: number;
}

/** Blocks per read when a whole node is read. */
const readBlocksMax = 32;

/** The users of one incarnation of a store. */
export class SimulatedClient {
  /** Operations under way. */
  get pendingCount(): number {
    return this.#pending.size;
  }
  /** Operations asked for so far. */
  operationCount = 0;
  /** A device error has reached a client: the incarnation should end soon. */
  sawDeviceError = false;
  /** `insufficient-space` answers. */
  noSpaceCount = 0;
  readonly #store: Store;
  readonly #model: StoreModel;
  readonly #tolerance: ClientTolerance;
  readonly #trace: (line: string) => void;
  readonly #random: SeededRandom;
  readonly #open = new Map<ModelNode, OpenVolume>();
  readonly #pending = new Map<number, string>();
  #failure: Error | undefined;

  constructor(
    options: { tolerance: ClientTolerance; trace: (line: string) => void },
    dependencies: { store: Store; model: StoreModel; random: SeededRandom },
  ) {
    this.#tolerance = options.tolerance;
    this.#trace = options.trace;
    this.#store = dependencies.store;
    this.#model = dependencies.model;
    this.#random = dependencies.random;
  }

  /** Throws what an answer revealed. */
  checkFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** What has no answer yet, for messages. */
  describePending(): string {
    return [...this.#pending.values()].slice(0, 8).join('; ');
  }

  write(volume: ModelNode, range: BlockRange, fua: boolean): void {
    const firstToken = this.#model.takeTokens(range.blockCount);
    const source = new Uint8Array(range.blockCount * blockSizeBytes);
    for (let index = 0; index < range.blockCount; index++) {
      encodeBlock(
        {
          pool: this.#model.poolNumber,
          volume: volume.modelId,
          lbn: range.lbn + index,
          token: firstToken + index,
        },
        source.subarray(index * blockSizeBytes, (index + 1) * blockSizeBytes),
      );
    }
    const entries = this.#addEntries(volume, range, (index) => firstToken + index);
    const what = `write ${volume.name} ${range.lbn}+${range.blockCount} t${firstToken}${fua ? ' fua' : ''}`;
    this.#io(volume, what, (io, done) => io.write(range.lbn, source, fua, done), {
      succeeded: () => answer(entries, this.#model.tick(), fua),
      failed: () => answerUncertain(entries, this.#model.tick()),
    });
  }

  discard(volume: ModelNode, range: BlockRange): void {
    const entries = this.#addEntries(volume, range, () => 0);
    const what = `discard ${volume.name} ${range.lbn}+${range.blockCount}`;
    this.#io(volume, what, (io, done) => io.discard(range.lbn, range.blockCount, done), {
      succeeded: () => {
        if (this.#tolerance.noSpace) answerUncertain(entries, this.#model.tick());
        else answer(entries, this.#model.tick(), false);
      },
      failed: () => answerUncertain(entries, this.#model.tick()),
    });
  }

  writeZeroes(volume: ModelNode, range: BlockRange, fua: boolean): void {
    const entries = this.#addEntries(volume, range, () => 0);
    const what = `zero ${volume.name} ${range.lbn}+${range.blockCount}${fua ? ' fua' : ''}`;
    this.#io(volume, what, (io, done) => io.writeZeroes(range.lbn, range.blockCount, fua, done), {
      succeeded: () => answer(entries, this.#model.tick(), fua),
      failed: () => answerUncertain(entries, this.#model.tick()),
    });
  }

  flush(volume: ModelNode): void {
    const covered = this.#model.answeredEntries(volume);
    this.#io(volume, `flush ${volume.name}`, (io, done) => io.flush(done), {
      succeeded: () => {
        for (const entry of covered) entry.isDurable = true;
      },
      failed: () => {},
    });
  }

  read(volume: ModelNode, range: BlockRange): void {
    const target = new Uint8Array(range.blockCount * blockSizeBytes).fill(0xdd);
    const beganAt = this.#model.tick();
    const what = `read ${volume.name} ${range.lbn}+${range.blockCount}`;
    this.#io(volume, what, (io, done) => io.read(range.lbn, target, done), {
      succeeded: () => {
        for (let index = 0; index < range.blockCount; index++) {
          const bytes = target.subarray(index * blockSizeBytes, (index + 1) * blockSizeBytes);
          judgeRead(this.#model, volume, { lbn: range.lbn + index, bytes }, beganAt);
        }
      },
      failed: () => {},
    });
  }

  createVolume(fields: { name: string; sizeBlocks: number; attributes: string }): void {
    const uuid = this.#random.fillBytes(new Uint8Array(16));
    const node = this.#model.addNode({ kind: 'volume', uuid, ...fields }, {});
    this.#create(node, undefined, () => this.#store.createVolume({ ...fields, uuid }));
  }

  createSnapshot(volume: ModelNode, fields: { name: string; attributes: string }): void {
    const uuid = this.#random.fillBytes(new Uint8Array(16));
    const cut = { source: volume, issuedAt: this.#model.tick(), answeredAt: Infinity };
    const node = this.#model.addNode(
      { kind: 'snapshot', uuid, sizeBlocks: volume.sizeBlocks, ...fields },
      { cut },
    );
    volume.isLocked = true;
    this.#create(node, volume, () =>
      this.#store.createSnapshot({ ...fields, uuid, volume: volume.name }),
    );
  }

  /** Clones a snapshot (whose content is known) or a volume (a cut). */
  createClone(
    source: ModelNode,
    fields: { name: string; sizeBlocks: number; attributes: string },
  ): void {
    const uuid = this.#random.fillBytes(new Uint8Array(16));
    const content =
      source.kind === 'volume'
        ? { cut: { source, issuedAt: this.#model.tick(), answeredAt: Infinity } }
        : { tokens: source.tokens };
    const node = this.#model.addNode({ kind: 'volume', uuid, ...fields }, content);
    if (source.kind === 'volume') source.isLocked = true;
    else source.pinCount++;
    this.#create(node, source, () =>
      this.#store.createClone({
        ...fields,
        uuid,
        source: { kind: source.kind, name: source.name },
      }),
    );
  }

  resize(volume: ModelNode, sizeBlocks: number): void {
    volume.isLocked = true;
    this.#control(`resize ${volume.name} to ${sizeBlocks}`, {
      change: { type: 'resize', node: volume, sizeBlocks },
      call: () => this.#store.resize(volume.name, sizeBlocks),
      succeeded: (summary) => {
        expectHolds(
          summary.sizeBlocks === sizeBlocks,
          () => `resize answered ${summary.sizeBlocks}`,
        );
        this.#model.applyResize(volume, sizeBlocks);
        this.#reopen(volume);
      },
      failed: () => {
        volume.isLocked = false;
      },
      ended: () => {},
    });
  }

  setAttributes(node: ModelNode, attributes: string): void {
    node.isLocked = true;
    this.#control(`attributes of ${node.name}: ${attributes}`, {
      change: { type: 'attributes', node, attributes },
      call: () => this.#store.setAttributes(nameOf(node), attributes),
      succeeded: (summary) => {
        expectHolds(
          summary.attributes === attributes,
          () => `attributes are ${summary.attributes}`,
        );
        node.attributes = attributes;
      },
      ended: () => {
        node.isLocked = false;
      },
    });
  }

  revert(volume: ModelNode, snapshot: ModelNode, attributes: string): void {
    volume.isLocked = true;
    volume.refusesIo = true;
    snapshot.pinCount++;
    this.#control(`revert ${volume.name} to ${snapshot.name}`, {
      change: { type: 'revert', node: volume, snapshot, attributes },
      call: async () => {
        await this.#close(volume);
        return this.#store.revert(volume.name, snapshot.name, attributes);
      },
      succeeded: (summary) => {
        expectHolds(
          summary.attributes === attributes,
          () => `attributes are ${summary.attributes}`,
        );
        this.#model.applyRevert(volume, snapshot, attributes);
      },
      mayFailWith: ['failed-precondition', 'not-found'],
      ended: () => {
        volume.isLocked = false;
        volume.refusesIo = false;
        this.#unpin(snapshot);
      },
    });
  }

  deleteNode(node: ModelNode): void {
    node.isLocked = true;
    this.#control(`delete ${node.kind} ${node.name}`, {
      change: { type: 'delete', node },
      call: async () => {
        await this.#close(node);
        await this.#store.deleteNode(nameOf(node));
      },
      succeeded: () => this.#model.applyDelete(node),
      // A deleted node stays locked: its name is gone.
      failed: () => {
        node.isLocked = false;
      },
      ended: () => {},
    });
  }

  checkpoint(): void {
    this.#control('checkpoint', {
      call: () => this.#store.checkpoint(),
      succeeded: () => {},
      ended: () => {},
    });
  }

  /** Reads all of a node and judges it. */
  verify(node: ModelNode): void {
    node.isLocked = true;
    const beganAt = this.#model.tick();
    this.#control(`verify ${node.name}`, {
      call: () => this.readAll(node),
      succeeded: (readings) => {
        for (const reading of readings) judgeRead(this.#model, node, reading, beganAt);
      },
      ended: () => {
        node.isLocked = false;
      },
    });
  }

  /** Ends all I/O objects. */
  async closeAll(): Promise<void> {
    for (const node of this.#open.keys()) await this.#close(node);
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

  #addEntries(
    volume: ModelNode,
    range: BlockRange,
    tokenOf: (index: number) => number,
  ): WriteEntry[] {
    const issuedAt = this.#model.tick();
    const entries: WriteEntry[] = [];
    for (let index = 0; index < range.blockCount; index++) {
      const entry: WriteEntry = {
        token: tokenOf(index),
        issuedAt,
        answeredAt: Infinity,
        isDurable: false,
        isUncertain: false,
      };
      this.#model.register(volume, range.lbn + index).add(entry);
      entries.push(entry);
    }
    return entries;
  }

  #io(
    volume: ModelNode,
    what: string,
    submit: (io: NodeIo, done: (error: StoreError | null) => void) => void,
    outcome: { succeeded: () => void; failed: () => void },
  ): void {
    const open = this.#openVolume(volume);
    const number = this.#begin(what);
    open.pendingCount++;
    let answered = false;
    submit(open.io, (error) => {
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

  #create(node: ModelNode, source: ModelNode | undefined, call: () => Promise<NodeSummary>): void {
    const release = () => {
      if (!source) return;
      if (source.kind === 'snapshot') this.#unpin(source);
      // A cut keeps its source locked until it was read.
      else if (!node.cut) source.isLocked = false;
    };
    this.#control(`create ${node.kind} ${node.name}${source ? ` of ${source.name}` : ''}`, {
      change: { type: 'create', node, source },
      call,
      succeeded: (summary) => {
        if (node.cut) node.cut.answeredAt = this.#model.tick();
        this.#model.applyCreate(node, source);
        checkSummary(node, summary);
        node.createdMs = summary.createdMs;
        if (node.cut) this.#resolveCreated(node, source!);
      },
      mayFailWith: source?.kind === 'snapshot' ? ['not-found'] : [],
      failed: () => {
        if (this.#tolerance.deviceErrors) return;
        node.cut = undefined;
        this.#model.dropCreate(node);
      },
      ended: release,
    });
  }

  /** Reads what a cut holds, at once or a while later, so that a late change of it is seen either way. */
  #resolveCreated(node: ModelNode, source: ModelNode): void {
    node.isLocked = true;
    this.#control(`resolve ${node.name}`, {
      call: () => this.readAll(node),
      succeeded: (readings) => {
        this.#model.resolveCut(node, judgeCut(this.#model, node, readings));
      },
      ended: () => {
        node.isLocked = false;
        source.isLocked = false;
      },
    });
  }

  #control<T>(
    what: string,
    operation: {
      change?: PendingChange;
      call: () => Promise<T>;
      succeeded: (result: T) => void;
      failed?: () => void;
      mayFailWith?: readonly StoreErrorKind[];
      ended: () => void;
    },
  ): void {
    const number = this.#begin(what);
    const { change } = operation;
    if (change) this.#model.pending.add(change);
    if (change?.type === 'delete') change.node.state = 'deleting';
    const settle = (error: unknown, apply: () => void) =>
      this.#guard(() => {
        this.#end(number, what, error);
        if (error) this.#checkTolerated(what, error, operation.mayFailWith ?? []);
        const isUncertain = error !== null && this.#tolerance.deviceErrors;
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

  #unpin(node: ModelNode): void {
    assert(node.pinCount > 0, `${node.name} is not pinned`);
    node.pinCount--;
    if (node.pinCount === 0 && node.deferredDelete) this.#model.applyDelete(node);
  }

  #openVolume(volume: ModelNode): OpenVolume {
    let open = this.#open.get(volume);
    if (!open) {
      open = { io: this.#store.openIo(nameOf(volume)), pendingCount: 0 };
      this.#open.set(volume, open);
    }
    return open;
  }

  /** A grown volume shows its size to I/O opened later; the former one is closed in the background. */
  #reopen(volume: ModelNode): void {
    this.#control(`reopen ${volume.name}`, {
      call: () => this.#close(volume),
      succeeded: () => {},
      ended: () => {
        volume.isLocked = false;
      },
    });
  }

  async #close(node: ModelNode): Promise<void> {
    const open = this.#open.get(node);
    if (!open) return;
    this.#open.delete(node);
    await open.io.close();
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
    if (error.kind === 'insufficient-space' && this.#tolerance.noSpace) {
      this.noSpaceCount++;
      expectHolds(!what.startsWith('delete'), () => `${what}: no space to delete`);
      return;
    }
    if (mayFailWith.includes(error.kind)) return;
    if (this.#tolerance.deviceErrors) {
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

/** The store's address of a node. */
export function nameOf(node: ModelNode): NodeName {
  return { kind: node.kind, name: node.name };
}

/** Compares what the store says of a node with the model. */
export function checkSummary(node: ModelNode, summary: NodeSummary): void {
  const compare = (field: string, found: unknown, expected: unknown) =>
    expectHolds(
      found === expected,
      () =>
        `${node.kind} ${node.name}: ${field} is ${String(found)} instead of ${String(expected)}`,
    );
  compare('name', summary.name, node.name);
  compare('kind', summary.kind, node.kind);
  compare('size', summary.sizeBlocks, node.sizeBlocks);
  compare('attributes', summary.attributes, node.attributes);
  compare(
    'uuid',
    Buffer.from(summary.uuid).toString('hex'),
    Buffer.from(node.uuid).toString('hex'),
  );
  if (node.createdMs !== undefined) compare('creation time', summary.createdMs, node.createdMs);
}

function answer(entries: readonly WriteEntry[], answeredAt: number, isDurable: boolean): void {
  for (const entry of entries) {
    entry.answeredAt = answeredAt;
    if (isDurable) entry.isDurable = true;
  }
}

function answerUncertain(entries: readonly WriteEntry[], answeredAt: number): void {
  for (const entry of entries) {
    entry.answeredAt = answeredAt;
    entry.isUncertain = true;
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
