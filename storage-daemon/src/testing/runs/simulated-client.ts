/**
 * Issues operations on a store and keeps the reference model in step with the answers. It never waits: an operation
 * is asked for, and its answer is judged when the scheduler brings it, among those of many others on the same blocks.
 *
 * Rules that keep every answer judgeable: at most one control operation on a node at a time (deletes of its
 * ancestors, and I/O, run freely beside it); a cut is resolved by reading before its source is deleted, reverted or
 * cut again.
 */
import { assert } from '@varve/common/assert';

import type { NodeSummary, Store } from '../../store/store-api.ts';
import { StoreError, type StoreErrorKind } from '../../store/store-error.ts';
import { blockSizeBytes } from '../../units.ts';
import { encodeBlock } from '../model/block-content.ts';
import { judgeCut, judgeRead } from '../model/judge-content.ts';
import { checkSummary, nameOf } from '../model/node-summary.ts';
import { SimulationFailure, expectHolds } from '../model/simulation-failure.ts';
import type { ModelNode, StoreModel } from '../model/store-model.ts';
import type { WriteEntry } from '../model/write-register.ts';
import type { SeededRandom } from '../seeded-random.ts';
import { ClientSession, type ClientOptions } from './client-session.ts';

/** A range of blocks. */
export interface BlockRange {
  readonly lbn: number;
  readonly blockCount: number;
}

/** The users of one incarnation of a store. */
export class SimulatedClient {
  readonly session: ClientSession;
  readonly #store: Store;
  readonly #model: StoreModel;
  readonly #random: SeededRandom;

  constructor(
    options: ClientOptions,
    dependencies: { store: Store; model: StoreModel; random: SeededRandom },
  ) {
    this.session = new ClientSession(options, dependencies);
    this.#store = dependencies.store;
    this.#model = dependencies.model;
    this.#random = dependencies.random;
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
    this.session.submitIo(volume, what, (io, done) => io.write(range.lbn, source, fua, done), {
      succeeded: () => answer(entries, this.#model.tick(), fua || this.session.keepsAnswers),
      failed: () => answerUncertain(entries, this.#model.tick()),
    });
  }

  discard(volume: ModelNode, range: BlockRange): void {
    const entries = this.#addEntries(volume, range, () => 0);
    const what = `discard ${volume.name} ${range.lbn}+${range.blockCount}`;
    this.session.submitIo(
      volume,
      what,
      (io, done) => io.discard(range.lbn, range.blockCount, done),
      {
        succeeded: () => {
          if (this.session.tolerance.noSpace) answerUncertain(entries, this.#model.tick());
          else answer(entries, this.#model.tick(), false);
        },
        failed: () => answerUncertain(entries, this.#model.tick()),
      },
    );
  }

  writeZeroes(volume: ModelNode, range: BlockRange, fua: boolean): void {
    const entries = this.#addEntries(volume, range, () => 0);
    const what = `zero ${volume.name} ${range.lbn}+${range.blockCount}${fua ? ' fua' : ''}`;
    this.session.submitIo(
      volume,
      what,
      (io, done) => io.writeZeroes(range.lbn, range.blockCount, fua, done),
      {
        succeeded: () => answer(entries, this.#model.tick(), fua || this.session.keepsAnswers),
        failed: () => answerUncertain(entries, this.#model.tick()),
      },
    );
  }

  flush(volume: ModelNode): void {
    const covered = this.#model.answeredEntries(volume);
    this.session.submitIo(volume, `flush ${volume.name}`, (io, done) => io.flush(done), {
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
    this.session.submitIo(volume, what, (io, done) => io.read(range.lbn, target, done), {
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
    this.session.control(`resize ${volume.name} to ${sizeBlocks}`, {
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
    this.session.control(`attributes of ${node.name}: ${attributes}`, {
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
    let isUncertain = false;
    snapshot.pinCount++;
    this.session.control(`revert ${volume.name} to ${snapshot.name}`, {
      change: { type: 'revert', node: volume, snapshot, attributes },
      call: async () => {
        await this.session.close(volume);
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
      failed: () => {
        isUncertain = this.session.tolerance.deviceErrors;
      },
      ended: () => {
        this.#unpin(snapshot);
        // Which content it has is known after the next recovery only: until then the store does not show it.
        if (isUncertain) return;
        volume.isLocked = false;
        volume.refusesIo = false;
      },
    });
  }

  deleteNode(node: ModelNode): void {
    node.isLocked = true;
    this.session.control(`delete ${node.kind} ${node.name}`, {
      change: { type: 'delete', node },
      call: async () => {
        await this.session.close(node);
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
    this.session.control('checkpoint', {
      call: () => this.#store.checkpoint(),
      succeeded: () => {},
      ended: () => {},
    });
  }

  heal(): void {
    this.session.control('heal', {
      call: () => this.#store.healClusters(),
      succeeded: () => {},
      ended: () => {},
    });
  }

  /** Asks for what must be refused, and changes nothing. */
  misuse(volume: ModelNode): void {
    const fields = { uuid: new Uint8Array(16), attributes: '{}' };
    const name = volume.name;
    const absent = { kind: 'snapshot', name: 'absent' } as const;
    const cases: readonly [StoreErrorKind, () => Promise<unknown>][] = [
      ['already-exists', () => this.#store.createVolume({ name, sizeBlocks: 1, ...fields })],
      ['not-found', () => this.#store.deleteNode(absent)],
      ['not-found', () => this.#store.createSnapshot({ name: 'n', volume: 'absent', ...fields })],
      [
        'not-found',
        () => this.#store.createClone({ name: 'n', source: absent, sizeBlocks: 1, ...fields }),
      ],
      ['out-of-range', () => this.#store.resize(name, volume.sizeBlocks - 1)],
      [
        'failed-precondition',
        () => {
          this.session.openVolume(volume);
          return this.#store.deleteNode(nameOf(volume));
        },
      ],
    ];
    const [kind, call] = this.#random.pick(cases);
    if (kind === 'out-of-range' && volume.sizeBlocks === 1) return;
    volume.isLocked = true;
    const what = `misuse of ${name} that is ${kind}`;
    this.session.control(what, {
      call: async () => {
        const error = await call().then(
          () => undefined,
          (reason: unknown) => reason,
        );
        if (error instanceof StoreError && error.kind === kind) return;
        if (error === undefined) throw new SimulationFailure(`${what}: succeeded`);
        throw error as Error;
      },
      succeeded: () => {},
      ended: () => {
        volume.isLocked = false;
      },
    });
  }

  /** Asks for a volume by the name of one whose deletion is under way: its name is free when that is durable. */
  reuseName({ name }: ModelNode): void {
    const fields = { uuid: new Uint8Array(16), attributes: '{}' };
    const what = `reuse of ${name} while it is being deleted`;
    this.session.control(what, {
      call: async () => {
        await this.#store.createVolume({ name, sizeBlocks: 1, ...fields });
        throw new SimulationFailure(`${what}: succeeded`);
      },
      // Its deletion may not have begun in the store, which first ends what the volume has under way.
      mayFailWith: ['aborted', 'already-exists'],
      succeeded: () => {},
      ended: () => {},
    });
  }

  /** Reads all of a node and judges it. */
  verify(node: ModelNode): void {
    node.isLocked = true;
    const beganAt = this.#model.tick();
    this.session.control(`verify ${node.name}`, {
      call: () => this.session.readAll(node),
      succeeded: (readings) => {
        for (const reading of readings) judgeRead(this.#model, node, reading, beganAt);
      },
      ended: () => {
        node.isLocked = false;
      },
    });
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

  #create(node: ModelNode, source: ModelNode | undefined, call: () => Promise<NodeSummary>): void {
    const release = () => {
      if (!source) return;
      if (source.kind === 'snapshot') this.#unpin(source);
      // A cut keeps its source locked until it was read.
      else if (!node.cut) source.isLocked = false;
    };
    this.session.control(`create ${node.kind} ${node.name}${source ? ` of ${source.name}` : ''}`, {
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
        if (this.session.tolerance.deviceErrors) return;
        node.cut = undefined;
        this.#model.dropCreate(node);
      },
      ended: release,
    });
  }

  /** Reads what a cut holds, at once or a while later, so that a late change of it is seen either way. */
  #resolveCreated(node: ModelNode, source: ModelNode): void {
    node.isLocked = true;
    let isUnread = false;
    this.session.control(`resolve ${node.name}`, {
      call: () => this.session.readAll(node),
      succeeded: (readings) => {
        this.#model.resolveCut(node, judgeCut(this.#model, node, readings));
      },
      failed: () => {
        isUnread = true;
      },
      ended: () => {
        // A cut that could not be read is judged by its source, which must not be cut or reverted before.
        if (isUnread) return;
        node.isLocked = false;
        source.isLocked = false;
      },
    });
  }

  #unpin(node: ModelNode): void {
    assert(node.pinCount > 0, `${node.name} is not pinned`);
    node.pinCount--;
    if (node.pinCount === 0 && node.deferredDelete) this.#model.applyDelete(node);
  }

  /** A grown volume shows its size to I/O opened later; the former one is closed in the background. */
  #reopen(volume: ModelNode): void {
    this.session.control(`reopen ${volume.name}`, {
      call: () => this.session.close(volume),
      succeeded: () => {},
      ended: () => {
        volume.isLocked = false;
      },
    });
  }
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
