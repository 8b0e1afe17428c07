/**
 * Runs one seed: format, then rounds of random history, each ended by a power cut, a kill or a clean close, then
 * recovery, judgement and the next round on what was found. All choices come from the seed.
 */
import type { Store } from '../../store/store-api.ts';
import { History } from './history.ts';
import {
  hashStore,
  judgeAllocation,
  judgeCatalog,
  judgeQuietContents,
  judgeSpace,
  judgeUsedBlocks,
} from '../model/judge-store.ts';
import { judgeRecovery } from '../model/oracle.ts';
import { SeededRandom } from '../seeded-random.ts';
import type { CrashKind, DeviceEvent } from '../sim-device.ts';
import { drawConfig, type SimConfig, type SimProfile } from './sim-config.ts';
import type { SimImage } from '../sim-image.ts';
import { SimulatedClient } from './simulated-client.ts';
import { SimulatedMachine, blankImages, type StoreEngine } from './simulated-machine.ts';
import { SimulationFailure, expectHolds } from '../model/simulation-failure.ts';
import { StoreModel } from '../model/store-model.ts';

/** What one seed did. */
export interface SimulationReport {
  readonly seed: number;
  readonly operationCount: number;
  readonly crashCount: number;
  readonly deviceWriteCount: number;
  /** Mixed from every device event, in order: the same seed must give the same. */
  readonly fingerprint: number;
  /** The message of the broken promise; undefined if all held. */
  readonly failure: string | undefined;
  /** Everything that happened, if asked for. */
  readonly trace: readonly string[];
}

/** Chance per step of asking for one more operation while there is room. */
const issueChance = 0.4;
/** Chance per operation of a pause in which nothing is under way and everything is compared. */
const quietChance = 0.01;

/** Chance that a round is over after a few operations: what recovery has found may be lost by the next crash. */
const shortRoundChance = 0.15;

interface Incarnation {
  readonly machine: SimulatedMachine;
  readonly store: Store;
  readonly client: SimulatedClient;
}

/** Runs a seed of a profile. Never throws: a failure is in the report. */
export async function simulate(
  options: { seed: number; profile: SimProfile; keepTrace: boolean },
  engine: StoreEngine,
): Promise<SimulationReport> {
  const run = new Run(options, engine);
  let failure: string | undefined;
  const onRejection = (reason: unknown) => {
    failure ??= `background work failed: ${describe(reason)}`;
  };
  process.on('unhandledRejection', onRejection);
  try {
    await run.perform();
  } catch (error) {
    failure ??= describe(error);
  } finally {
    process.off('unhandledRejection', onRejection);
  }
  return { seed: options.seed, ...run.totals, failure, trace: run.trace };
}

class Run {
  readonly trace: string[] = [];
  readonly totals = { operationCount: 0, crashCount: 0, deviceWriteCount: 0, fingerprint: 0 };
  readonly #random: SeededRandom;
  readonly #config: SimConfig;
  readonly #engine: StoreEngine;
  readonly #model: StoreModel;
  readonly #addTrace: (line: string) => void;
  #bootIndex = 0;
  #images: readonly SimImage[];

  constructor(
    options: { seed: number; profile: SimProfile; keepTrace: boolean },
    engine: StoreEngine,
  ) {
    this.#engine = engine;
    this.#random = new SeededRandom(options.seed);
    this.#config = drawConfig(this.#random, options.profile);
    this.#model = new StoreModel(1 + (options.seed % 200));
    this.#images = blankImages(this.#config.deviceSizesBlocks);
    this.#addTrace = options.keepTrace ? (line) => this.trace.push(line) : () => {};
    this.#addTrace(`config ${JSON.stringify(this.#config)}`);
  }

  async perform(): Promise<void> {
    if (this.#random.chance(this.#config.formerLifeChance)) await this.#liveFormerLife();
    await this.#format(this.#model.poolNumber);
    for (let round = 0; round < this.#config.roundCount; round++) {
      const incarnation = await this.#recover();
      await this.#history(incarnation);
      await this.#endRound(incarnation);
    }
    await this.#finish(await this.#recover('reliable'));
  }

  async #format(poolNumber: number): Promise<void> {
    const formatting = this.#boot(false);
    await formatting.format(this.#engine, poolNumber, this.#config.geometry);
    this.#images = this.#end(formatting, 'power');
  }

  /** The devices were another pool of the same shape before: what it left must never be taken for this pool's. */
  async #liveFormerLife(): Promise<void> {
    const number = this.#model.poolNumber + 1000;
    await this.#format(number);
    const machine = this.#boot(false);
    const store = await machine.drive('recovery', this.#openStore(machine));
    for (let index = this.#random.between(1, 12); index > 0; index--) {
      const uuid = new Uint8Array(16).fill(index);
      const fields = { name: `former${index}`, uuid, sizeBlocks: 4, attributes: '{}' };
      await machine.drive('living before', store.createVolume(fields));
    }
    this.#images = this.#end(machine, 'kill');
  }

  #boot(withErrors: boolean): SimulatedMachine {
    const { hasVolatileCache, tearsBlocks, stallChance, stallMs } = this.#config;
    const { errorChance, rotChance } = this.#config;
    const faults = this.#random.fork();
    return new SimulatedMachine(
      {
        hasVolatileCache,
        tearsBlocks,
        stallChance,
        stallMs,
        bootIndex: this.#bootIndex++,
        trace: this.#addTrace,
        observe: (event) => this.#mix(event),
        ...(withErrors && errorChance > 0 && { failRequest: () => faults.chance(errorChance) }),
        ...(withErrors && rotChance > 0 && { rotsPage: () => faults.chance(rotChance) }),
      },
      { images: this.#images, random: this.#random.fork() },
    );
  }

  #mix({ moment, kind, block, blockCount, fua }: DeviceEvent): void {
    const word =
      moment.length ^ (kind.length << 4) ^ (block << 8) ^ (blockCount << 24) ^ (fua ? 1 : 0);
    this.totals.fingerprint = Math.imul(this.totals.fingerprint ^ word, 0x01000193) >>> 0;
  }

  #end(machine: SimulatedMachine, kind: CrashKind): readonly SimImage[] {
    for (const { counters } of machine.devices) this.totals.deviceWriteCount += counters.writes;
    return machine.crash(kind);
  }

  /** Recovers; now and then crashes in the middle of it, or does it twice from one image to compare. */
  async #recover(devices: 'reliable' | 'as configured' = 'as configured'): Promise<Incarnation> {
    const { recoveryCrashChance, recoveryCrashesMax } = this.#config;
    for (let crashes = 0; crashes < recoveryCrashesMax; crashes++) {
      if (!this.#random.chance(recoveryCrashChance)) break;
      await this.#crashDuringRecovery();
    }
    const twin = this.#random.chance(0.25) ? this.#images.map((image) => image.clone()) : undefined;
    const incarnation = await this.#open(false);
    const { machine, store, client } = incarnation;
    await machine.drive(
      'judging the recovery',
      judgeRecovery(this.#model, { store, client, random: this.#random }),
    );
    if (twin) await this.#compareTwin(incarnation, twin);
    if (!this.#hasFaults || devices === 'reliable') return incarnation;
    // From here on devices fail: the same image is opened again by a machine with faults.
    const images = incarnation.machine.crash('kill');
    this.#images = images;
    return this.#openWithErrors();
  }

  async #open(withErrors: boolean): Promise<Incarnation> {
    const machine = this.#boot(withErrors);
    const store = await machine.drive('recovery', this.#openStore(machine));
    const client = new SimulatedClient(
      {
        tolerance: { noSpace: this.#config.space !== 'roomy', deviceErrors: withErrors },
        keepsAnswers: this.#config.keepsAnswers,
        trace: this.#addTrace,
      },
      { store, model: this.#model, random: this.#random.fork() },
    );
    return { machine, store, client };
  }

  #openStore(machine: SimulatedMachine): Promise<Store> {
    const { open, reactorCount: count, geometry } = this.#config;
    return machine.open(this.#engine, open, { count, cellCount: geometry.cellCount ?? 1 });
  }

  async #openWithErrors(): Promise<Incarnation> {
    for (let attempts = 0; attempts < 10; attempts++) {
      try {
        return await this.#open(true);
      } catch (error) {
        if (error instanceof SimulationFailure || !isStoreError(error)) throw error;
        this.#addTrace(`open failed as told: ${describe(error)}`);
        this.#images = this.#images.map((image) => image.clone());
      }
    }
    return this.#open(false);
  }

  async #crashDuringRecovery(): Promise<void> {
    const machine = this.#boot(false);
    const opening = this.#openStore(machine);
    opening.catch(() => {});
    for (let steps = this.#random.below(60); steps > 0; steps--) await machine.step();
    this.totals.crashCount++;
    this.#addTrace('crash during recovery');
    this.#images = this.#end(machine, this.#crashKind());
  }

  async #compareTwin(incarnation: Incarnation, images: readonly SimImage[]): Promise<void> {
    const { machine, store, client } = incarnation;
    const hash = await machine.drive('hashing', hashStore(this.#model, store, client));
    const own = this.#images;
    this.#images = images;
    const twin = await this.#open(false);
    this.#images = own;
    const twinHash = await twin.machine.drive(
      'hashing the twin',
      hashStore(this.#model, twin.store, twin.client),
    );
    twin.machine.crash('kill');
    expectHolds(hash === twinHash, () => 'two recoveries of one image differ');
  }

  async #history(incarnation: Incarnation): Promise<void> {
    const { machine, client } = incarnation;
    const history = new History(this.#config.history, {
      client,
      model: this.#model,
      random: this.#random.fork(),
    });
    const random = this.#random;
    let pendingMax = this.#config.pendingMax;
    const isShort = random.chance(shortRoundChance);
    const operationsMax = isShort ? random.below(6) : this.#config.operationsPerRound;
    while (client.session.operationCount < operationsMax) {
      if (client.session.sawDeviceError && random.chance(0.05)) break;
      if (client.session.pendingCount < pendingMax && random.chance(issueChance)) {
        history.issueOne();
        if (random.chance(0.02)) pendingMax = random.between(1, this.#config.pendingMax);
        await machine.settle();
        client.session.checkFailure();
        if (random.chance(quietChance) && !this.#hasFaults) {
          await this.#quiet(incarnation, random.chance(0.5));
        }
        continue;
      }
      const ran = await machine.step();
      client.session.checkFailure();
      expectHolds(
        ran || client.session.pendingCount === 0,
        () => `stuck: ${client.session.describePending()}`,
      );
    }
    this.totals.operationCount += client.session.operationCount;
  }

  /** Lets everything end and compares all of it; with background work done, the count of blocks in use too. */
  async #quiet(incarnation: Incarnation, isDrained: boolean): Promise<void> {
    const { machine, store, client } = incarnation;
    await this.#awaitAnswers(incarnation);
    const random = this.#random;
    if (isDrained) await machine.drive('draining', store.drainBackgroundWork());
    await machine.drive(
      'comparing',
      (async () => {
        const contents = await judgeQuietContents(this.#model, client);
        judgeCatalog(this.#model, store);
        await judgeSpace(this.#model, { store, contents, random });
        await judgeAllocation(store, contents);
        if (isDrained) judgeUsedBlocks(this.#model, store, contents);
      })(),
    );
  }

  async #awaitAnswers({ machine, client }: Incarnation): Promise<void> {
    await machine.settle();
    for (let steps = 0; client.session.pendingCount > 0; steps++) {
      const ran = await machine.step();
      client.session.checkFailure();
      expectHolds(
        client.session.pendingCount === 0 || (ran && steps < 400_000),
        () => `never answered: ${client.session.describePending()}`,
      );
    }
  }

  async #endRound(incarnation: Incarnation): Promise<void> {
    if (!this.#hasFaults && this.#random.chance(this.#config.cleanChance)) {
      await this.#closeCleanly(incarnation);
      return;
    }
    const kind = this.#crashKind();
    this.totals.crashCount++;
    this.#addTrace(`crash: ${kind}`);
    this.#images = this.#end(incarnation.machine, kind);
    // Whatever was under way, the last checkpoint is whole: replay begins there.
    await this.#checkOffline('after a crash', { isAfterCrash: true });
  }

  async #closeCleanly(incarnation: Incarnation): Promise<void> {
    const { machine, store, client } = incarnation;
    await this.#awaitAnswers(incarnation);
    for (const node of this.#model.live('volume')) {
      client.flush(node);
    }
    await this.#awaitAnswers(incarnation);
    await machine.drive('closing', client.session.closeAll());
    await machine.drive('closing', store.close());
    this.#addTrace('closed');
    this.#images = this.#end(machine, 'power');
    await this.#checkOffline('after a clean close');
  }

  /** At the end: background work is drained, the checker is asked, everything is deleted, and all space is back. */
  async #finish(incarnation: Incarnation): Promise<void> {
    const { machine, store, client } = incarnation;
    await this.#quiet(incarnation, true);
    await machine.drive('checkpoint', store.checkpoint());
    await machine.drive('closing', client.session.closeAll());
    await machine.drive('closing', store.close());
    this.#images = this.#end(machine, 'power');
    await this.#checkOffline('at the end');
    await this.#deleteEverything(await this.#open(false));
  }

  /** Deletes all nodes in any order: all their blocks come back. */
  async #deleteEverything(incarnation: Incarnation): Promise<void> {
    const { machine, store, client } = incarnation;
    const nodes = [...this.#model.live('volume'), ...this.#model.live('snapshot')];
    while (nodes.length > 0) {
      const [node] = nodes.splice(this.#random.below(nodes.length), 1);
      client.deleteNode(node!);
      if (this.#random.chance(0.5)) await machine.step();
    }
    await this.#quiet(incarnation, true);
    await machine.drive('closing', store.close());
    this.#images = this.#end(machine, 'power');
    await this.#checkOffline('after deleting everything');
  }

  async #checkOffline(when: string, options: { isAfterCrash?: boolean } = {}): Promise<void> {
    const machine = new SimulatedMachine(
      {
        hasVolatileCache: this.#config.hasVolatileCache,
        tearsBlocks: false,
        stallChance: 0,
        trace: this.#addTrace,
        bootIndex: this.#bootIndex,
      },
      { images: this.#images.map((image) => image.clone()), random: new SeededRandom(1) },
    );
    const checking = this.#engine.checkPool(machine.devices, options);
    const findings = await machine.drive('checking', checking);
    machine.crash('kill');
    expectHolds(findings.length === 0, () => `the checker found ${when}: ${findings.join('; ')}`);
  }

  #crashKind(): CrashKind {
    if (this.#config.keepsAnswers) return 'kill';
    return this.#random.chance(0.6) ? 'power' : 'kill';
  }

  get #hasFaults(): boolean {
    return this.#config.errorChance > 0 || this.#config.rotChance > 0;
  }
}

function isStoreError(error: unknown): boolean {
  return error instanceof Error && error.name === 'StoreError';
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : `\ncaused by ${describe(error.cause)}`;
  const text = error instanceof SimulationFailure ? error.message : (error.stack ?? error.message);
  return text + cause;
}
