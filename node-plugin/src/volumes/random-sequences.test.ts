/**
 * Random calls on a machine whose every part fails now and then, with plugins that are killed in the middle.
 * Afterwards kubelet's clean-up, which repeats until it succeeds, must leave nothing, and nothing may ever
 * have been formatted twice once it was in use. The fake machine itself asserts what a kernel punishes.
 */
import { expect, test } from '@jest/globals';
import { benchNames, VolumeBench } from '../testing/volume-bench.ts';
import { publishVolume, unpublishVolume } from './publish-volume.ts';
import { stageVolume } from './stage-volume.ts';
import { unstageVolume } from './unstage-volume.ts';
import { expandVolume } from './volume-size.ts';

const sequenceCount = 200;
const callsPerSequence = 25;
const targets = ['/pods/a/mount', '/pods/b/mount'];
const cleanUpAttemptsMax = 10;

/** mulberry32: small, seeded, good enough to choose calls. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function isExpectation(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'matcherResult' in error;
}

class Sequence {
  readonly bench = new VolumeBench();
  readonly #random: () => number;
  readonly #accessKind: 'mount' | 'block';
  #isFaulty = true;
  #stageCount = 0;

  constructor(seed: number) {
    this.#random = createRandom(seed);
    this.#accessKind = this.#random() < 0.7 ? 'mount' : 'block';
    this.bench.system.multipath = this.#random() < 0.5;
    this.bench.ledgerFails = () => this.#isFaulty && this.#random() < 0.05;
    this.bench.system.faults = () => {
      if (!this.#isFaulty) return undefined;
      const dice = this.#random();
      if (dice < 0.01) return 'before';
      if (dice < 0.02) return 'after';
      return dice < 0.03 ? 'kill' : undefined;
    };
  }

  get stageCount(): number {
    return this.#stageCount;
  }

  async play(): Promise<void> {
    for (let call = 0; call < callsPerSequence; call++) {
      if (this.#random() < 0.1) this.bench.system.deadPorts.add(4420);
      if (this.#random() < 0.1) this.bench.system.deadPorts.clear();
      if (this.#random() < 0.1) this.bench.target.sizeBytes += 1 << 20;
      await this.#call().catch((error: unknown) => {
        // A broken rule of the machine is no fault on cue.
        if ((error as Error).name === 'InvariantError' || isExpectation(error)) throw error;
      });
      this.bench.system.restart();
    }
  }

  async cleanUp(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      // The last attempts are on a machine that works again.
      if (attempt > cleanUpAttemptsMax / 2) this.#isFaulty = false;
      try {
        for (const targetPath of targets) {
          await unpublishVolume(this.bench.context(), { ...benchNames, targetPath });
        }
        await unstageVolume(this.bench.context(), benchNames);
        return;
      } catch (error) {
        if (attempt === cleanUpAttemptsMax) throw error;
        this.bench.system.restart();
      }
    }
  }

  async #call(): Promise<void> {
    const context = this.bench.context();
    const accessKind = this.#accessKind;
    const targetPath = targets[Math.floor(this.#random() * targets.length)] ?? '';
    const dice = this.#random();
    if (dice < 0.35) {
      const block = { access: { kind: 'block' as const } };
      await stageVolume(context, this.bench.stageRequest(accessKind === 'block' ? block : {}));
      this.#stageCount += 1;
      if (accessKind === 'mount') {
        expect(this.bench.target.filesystemBytes).toBe(this.bench.target.sizeBytes);
      }
    } else if (dice < 0.65) {
      await publishVolume(context, this.bench.publishRequest(targetPath, { accessKind }));
    } else if (dice < 0.85) {
      await unpublishVolume(context, { ...benchNames, targetPath });
    } else if (dice < 0.95) await unstageVolume(context, benchNames);
    else {
      const volumePath = targetPath;
      await expandVolume(context, { ...benchNames, volumePath, requiredBytes: 0 });
    }
  }
}

test(`${sequenceCount} random sequences with faults leave no mount, no connection and no state file`, async () => {
  let stageCount = 0;
  for (let seed = 1; seed <= sequenceCount; seed++) {
    const sequence = new Sequence(seed);
    await sequence.play();
    await sequence.cleanUp();
    stageCount += sequence.stageCount;
    expect({ seed, remains: sequence.bench.remains() }).toEqual({ seed, remains: [] });
    const { state } = sequence.bench.filesystem;
    if (state === 'ready') expect(sequence.bench.target.content.kind).toBe('filesystem');
  }
  // Sequences in which nothing ever succeeds would prove nothing.
  expect(stageCount).toBeGreaterThan(sequenceCount);
});
