/**
 * What the daemon must know before it can open a pool: who it is, and which devices make up which pool. One
 * JSON file in the state folder, replaced as a whole (written aside, flushed, renamed), so that after a
 * crash there is the old one or the new one.
 *
 * The folder belongs to one daemon: a lock is held for the life of the process.
 */
import { randomUUID } from 'node:crypto';
import * as nodeFs from 'node:fs';
import { join } from 'node:path';

import { idSchema, labelsSchema } from '@varve/contract/identifier';
import { z } from 'zod';

import { lockFile } from '../device/device-lock.ts';
import { systemCode } from '../device/device-open-error.ts';

const knownPoolSchema = z.strictObject({
  uuid: z.guid(),
  /** Until `formatted` no volume was ever in the pool: it may be formatted again. */
  state: z.enum(['formatting', 'formatted']),
  devices: z.array(z.strictObject({ path: z.string(), kind: z.enum(['file', 'block']) })).min(1),
  labels: labelsSchema,
});

const stateSchema = z.strictObject({
  version: z.literal(1),
  daemonId: z.guid(),
  pools: z.record(idSchema, knownPoolSchema),
});

/** A pool as the state file knows it. */
export type KnownPool = z.output<typeof knownPoolSchema>;

type State = z.output<typeof stateSchema>;

/** The state folder cannot be used; `message` is for people. */
export class StateFileError extends Error {
  override readonly name = 'StateFileError';
}

/** The open state folder of this daemon. */
export class StateFile {
  readonly #path: string;
  readonly #lockFd: number;
  #state: State;

  private constructor(path: string, lockFd: number, state: State) {
    this.#path = path;
    this.#lockFd = lockFd;
    this.#state = state;
  }

  /** Creates the folder if need be, locks it, and reads or makes the file. @throws StateFileError */
  static open(folder: string): StateFile {
    const path = join(folder, 'state.json');
    let lockFd: number | undefined;
    try {
      nodeFs.mkdirSync(folder, { recursive: true, mode: 0o700 });
      lockFd = nodeFs.openSync(join(folder, 'lock'), 'a', 0o600);
      lockFile(lockFd, join(folder, 'lock'));
      const found = readState(path);
      const state = found ?? { version: 1, daemonId: randomUUID(), pools: {} };
      const file = new StateFile(path, lockFd, state);
      if (!found) file.#write(state);
      return file;
    } catch (cause) {
      if (lockFd !== undefined) nodeFs.closeSync(lockFd);
      const why = (cause as Error).message;
      throw new StateFileError(`Opening the state folder "${folder}" failed: ${why}`, { cause });
    }
  }

  /** Drawn when the folder was made. */
  get daemonId(): string {
    return this.#state.daemonId;
  }

  /** All pools, by name. */
  get pools(): Readonly<Record<string, KnownPool>> {
    return this.#state.pools;
  }

  /** Records a pool durably; undefined forgets it. */
  setPool(pool: string, known: KnownPool | undefined): void {
    const { [pool]: _, ...others } = this.#state.pools;
    const pools = known ? { ...others, [pool]: known } : others;
    const next = { ...this.#state, pools };
    this.#write(next);
    this.#state = next;
  }

  /** Gives the folder back. */
  close(): void {
    nodeFs.closeSync(this.#lockFd);
  }

  #write(state: State): void {
    const temporary = `${this.#path}.new`;
    nodeFs.writeFileSync(temporary, `${JSON.stringify(state, null, 2)}\n`, {
      mode: 0o600,
      flush: true,
    });
    nodeFs.renameSync(temporary, this.#path);
    const folderFd = nodeFs.openSync(join(this.#path, '..'), 'r');
    try {
      nodeFs.fsyncSync(folderFd);
    } finally {
      nodeFs.closeSync(folderFd);
    }
  }
}

function readState(path: string): State | undefined {
  let text: string;
  try {
    text = nodeFs.readFileSync(path, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return stateSchema.parse(JSON.parse(text));
  } catch (cause) {
    const why = cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause);
    throw new StateFileError(`"${path}" is not a state file of this version: ${why}`, { cause });
  }
}
