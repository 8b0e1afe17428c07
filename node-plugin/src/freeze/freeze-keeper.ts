/**
 * File systems that are frozen for a snapshot, each freeze under an id that its caller chose.
 *
 * A frozen file system stops its pod, so nothing may keep it so: a watchdog, counted from the moment that the
 * freeze was asked for, thaws whatever the caller does; a plugin that starts thaws what one before it, killed
 * in between, has left. Whether the caller or the watchdog ended a freeze is told afterwards: only in the
 * first case was the snapshot taken of frozen data.
 */
import type { Clock, Timer } from '@varve/common/clock';
import type { Logger } from '@varve/common/logger';
import type { FreezeState } from '@varve/contract/freeze';
import { ProblemError } from '@varve/contract/problem';
import { listStagedVolumes, readStagedVolume } from '../state/staged-volume.ts';
import type { NodeSystem } from '../system/node-system.ts';

/** Long enough for a cut, which takes milliseconds; short enough that no pod's probe fails. */
export const watchdogMs = 5000;
/** Ended freezes that are remembered for callers that ask late; they ask within seconds. */
const endedMax = 1000;
interface Freeze {
  readonly volumeHandles: readonly string[];
  readonly startMs: number;
  /** The paths, when all are frozen; fails when the freeze failed and was undone. */
  readonly frozen: Promise<readonly string[]>;
  watchdog: Timer | undefined;
  ending: Promise<FreezeState> | undefined;
}

/** What freezing takes. */
export interface FreezeDependencies {
  readonly system: NodeSystem;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Keeps freezes. */
export class FreezeKeeper {
  readonly #system: NodeSystem;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #freezes = new Map<string, Freeze>();

  constructor({ system, clock, log }: FreezeDependencies) {
    this.#system = system;
    this.#clock = clock;
    this.#log = log;
  }

  /** Thaws all file systems of this node's volumes: a plugin that was killed may have left one frozen. */
  async thawAll(): Promise<void> {
    for (const { access, stagingPath } of await listStagedVolumes(this.#system)) {
      if (access.kind !== 'mount' || !(await this.#isMounted(stagingPath))) continue;
      await this.#system.thawFilesystem(stagingPath);
    }
  }

  /** Freezes volumes; a repeat waits for the first call and tells how that freeze is doing. */
  async freeze(id: string, volumeHandles: readonly string[]): Promise<FreezeState> {
    const known = this.#freezes.get(id);
    if (known !== undefined && String(known.volumeHandles) !== String(volumeHandles)) {
      throw new ProblemError('already-exists', `Freezing ${id} failed: it is of other volumes`, {
        field: 'volumeHandles',
      });
    }
    if (known === undefined) this.#start(id, volumeHandles);
    await this.#freezes.get(id)?.frozen;
    const ending = this.#freezes.get(id)?.ending;
    return ending === undefined ? { state: 'frozen' } : ending;
  }

  /** Ends a freeze and tells who ended it. */
  async thaw(id: string): Promise<FreezeState> {
    const freeze = this.#freezes.get(id);
    if (freeze === undefined) {
      throw new ProblemError('not-found', `Thawing ${id} failed: there is no such freeze`);
    }
    return this.#end(id, freeze, 'caller');
  }

  /** Ends all freezes. */
  async close(): Promise<void> {
    const open = [...this.#freezes].map(async ([id, freeze]) => this.#end(id, freeze, 'watchdog'));
    await Promise.allSettled(open);
  }

  #start(id: string, volumeHandles: readonly string[]): void {
    this.#forgetOldest();
    const freeze: Freeze = {
      volumeHandles,
      startMs: this.#clock.monotonicMs(),
      frozen: this.#freezeEach(id, volumeHandles),
      watchdog: undefined,
      ending: undefined,
    };
    this.#arm(id, freeze);
    this.#freezes.set(id, freeze);
    // Who waits sees the failure; the id is free again, since nothing is frozen under it.
    freeze.frozen.catch(() => {
      freeze.watchdog?.cancel();
      this.#freezes.delete(id);
    });
  }

  #arm(id: string, freeze: Freeze): void {
    freeze.watchdog = this.#clock.setTimer(() => {
      this.#log.warn({ id, watchdogMs }, 'a freeze was not ended in time');
      this.#end(id, freeze, 'watchdog').catch(() => undefined);
    }, watchdogMs);
  }

  async #freezeEach(id: string, volumeHandles: readonly string[]): Promise<readonly string[]> {
    const paths: string[] = [];
    try {
      for (const volumeHandle of volumeHandles) {
        const path = await this.#pathOf(id, volumeHandle);
        // Noted first: a freeze that failed may have taken effect.
        paths.push(path);
        await this.#system.freezeFilesystem(path);
      }
      return paths;
    } catch (error) {
      await this.#thawPaths(id, paths);
      throw error;
    }
  }

  async #end(id: string, freeze: Freeze, by: 'caller' | 'watchdog'): Promise<FreezeState> {
    freeze.watchdog?.cancel();
    // What could not be thawed is tried again by the caller, and by the watchdog for as long as it takes.
    freeze.ending ??= this.#thawEach(id, freeze, by).catch((error: unknown) => {
      freeze.ending = undefined;
      if (this.#freezes.get(id) === freeze) this.#arm(id, freeze);
      throw error;
    });
    return freeze.ending;
  }

  async #thawEach(
    id: string,
    freeze: Freeze,
    endedBy: 'caller' | 'watchdog',
  ): Promise<FreezeState> {
    await this.#thawPaths(id, await freeze.frozen);
    return {
      state: 'thawed',
      endedBy,
      frozenMs: Math.round(this.#clock.monotonicMs() - freeze.startMs),
    };
  }

  /** Tries each, whatever becomes of the others. */
  async #thawPaths(id: string, paths: readonly string[]): Promise<void> {
    const failures: unknown[] = [];
    for (const path of paths) {
      if (!(await this.#isMounted(path))) continue;
      await this.#system.thawFilesystem(path).catch(async (error: unknown) => {
        this.#log.error({ id, path, err: error }, 'thawing failed; it is tried once more');
        await this.#system.thawFilesystem(path).catch((second: unknown) => failures.push(second));
      });
    }
    if (failures.length > 0) throw failures[0];
  }

  async #pathOf(id: string, volumeHandle: string): Promise<string> {
    const staged = await readStagedVolume(this.#system, volumeHandle);
    if (staged?.access.kind === 'mount' && (await this.#isMounted(staged.stagingPath))) {
      return staged.stagingPath;
    }
    const why = staged === undefined ? 'is not staged here' : 'has no mounted file system here';
    throw new ProblemError('not-found', `Freezing ${id} failed: ${volumeHandle} ${why}`);
  }

  async #isMounted(path: string): Promise<boolean> {
    return (await this.#system.listMounts()).some((mount) => mount.path === path);
  }

  #forgetOldest(): void {
    if (this.#freezes.size < endedMax) return;
    const oldest = [...this.#freezes].find(([, freeze]) => freeze.ending !== undefined);
    if (oldest === undefined) {
      throw new ProblemError('too-many-requests', 'Freezing failed: too many freezes under way');
    }
    this.#freezes.delete(oldest[0]);
  }
}
