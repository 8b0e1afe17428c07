/**
 * Persistence: a snapshot of all objects and a log of the changes since, one JSON document per line.
 *
 * - A change is written (one `write`) before any client sees it, so what was answered survives a kill of the
 *   process. It is not synced to the disk: after a power cut the last changes may be missing, never be torn,
 *   since each line carries its checksum.
 * - The log is folded into a new snapshot when it is long: snapshot to a temporary file, fsync, rename, then
 *   a new log. The log's name carries the revision that it starts from, so a crash between the two leaves an
 *   old log that nobody reads.
 * - Reading stops at the first line that is torn or whose checksum is wrong, and cuts the log there: only an
 *   interrupted last write can have made it.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { assert } from '@varve/common/assert';
import { formatJson, parseJson } from '../objects/json.ts';
import type { ApiObject } from '../objects/api-object.ts';
import { logChangesMax } from '../limits.ts';
import type { Change } from './change.ts';

/** All objects at one revision: stores by their keys, objects by theirs. */
export interface StoredState {
  readonly revision: number;
  readonly objects: ReadonlyMap<string, ReadonlyMap<string, ApiObject>>;
}

/** A change as a log line: what came before it is known from the lines before. */
type LoggedChange = Omit<Change, 'previous'>;

/** What was found at opening: the state of the snapshot, and the changes since. */
export interface LoadedState {
  readonly snapshot: StoredState;
  readonly changes: readonly LoggedChange[];
}

const snapshotName = 'objects.json';
const logNamePattern = /^changes-(\d+)\.log$/;

function logName(revision: number): string {
  return `changes-${revision}.log`;
}

/** The log and snapshot of one server, in a directory of its own. One process at a time may have it open. */
export class StateLog {
  readonly #directory: string;
  #file: number | undefined;
  #loggedCount = 0;

  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  }

  /** Reads what is there and opens the log for appending. */
  load(): LoadedState {
    const snapshot = this.#readSnapshot();
    const path = join(this.#directory, logName(snapshot.revision));
    const { changes, lengthBytes } = existsSync(path)
      ? readLog(readFileSync(path))
      : { changes: [], lengthBytes: 0 };
    this.#file = openSync(path, 'a', 0o600);
    ftruncateSync(this.#file, lengthBytes);
    this.#loggedCount = changes.length;
    this.#removeOtherLogs(snapshot.revision);
    return { snapshot, changes };
  }

  /** Appends a change. When this returns, a kill of the process does not lose it. */
  append(change: Change): void {
    assert(this.#file !== undefined, 'the log is open');
    const { previous: _previous, ...logged } = change;
    writeWhole(this.#file, formatLine(formatJson(logged)));
    this.#loggedCount++;
  }

  /** Whether the log is long enough to be folded into a snapshot. */
  get isLong(): boolean {
    return this.#loggedCount >= logChangesMax;
  }

  /** Writes a snapshot of the state and starts a new, empty log. */
  fold(state: StoredState): void {
    const temporary = join(this.#directory, `${snapshotName}.new`);
    const stores = [...state.objects].map(([key, objects]) => [key, [...objects]]);
    const file = openSync(temporary, 'w', 0o600);
    try {
      writeWhole(file, formatLine(formatJson({ revision: state.revision, stores })));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, join(this.#directory, snapshotName));
    this.close();
    this.#file = openSync(join(this.#directory, logName(state.revision)), 'a', 0o600);
    this.#loggedCount = 0;
    this.#removeOtherLogs(state.revision);
  }

  /** Closes the log; may be called twice. */
  close(): void {
    if (this.#file === undefined) return;
    fsyncSync(this.#file);
    closeSync(this.#file);
    this.#file = undefined;
  }

  #readSnapshot(): StoredState {
    const path = join(this.#directory, snapshotName);
    if (!existsSync(path)) return { revision: 0, objects: new Map() };
    const text = parseLine(readFileSync(path, 'utf8').trimEnd());
    if (text === undefined) {
      throw new Error(`Cannot read ${path}: its checksum is wrong; the state is damaged`);
    }
    const { revision, stores } = parseJson(text) as unknown as {
      revision: number;
      stores: [string, [string, ApiObject][]][];
    };
    return { revision, objects: new Map(stores.map(([key, objects]) => [key, new Map(objects)])) };
  }

  #removeOtherLogs(revision: number): void {
    for (const name of readdirSync(this.#directory)) {
      const match = logNamePattern.exec(name);
      if (match !== null && Number(match[1]) !== revision) rmSync(join(this.#directory, name));
    }
  }
}

function formatLine(text: string): string {
  return `${crc32(text).toString(16).padStart(8, '0')} ${text}\n`;
}

function parseLine(line: string): string | undefined {
  const text = line.slice(9);
  return line.slice(0, 8) === crc32(text).toString(16).padStart(8, '0') ? text : undefined;
}

function readLog(bytes: Buffer): { changes: LoggedChange[]; lengthBytes: number } {
  const changes: LoggedChange[] = [];
  let start = 0;
  for (;;) {
    const end = bytes.indexOf(0x0a, start);
    if (end === -1) break;
    const text = parseLine(bytes.toString('utf8', start, end));
    if (text === undefined) break;
    changes.push(parseJson(text) as unknown as LoggedChange);
    start = end + 1;
  }
  return { changes, lengthBytes: start };
}

function writeWhole(file: number, text: string): void {
  const bytes = Buffer.from(text);
  let written = 0;
  while (written < bytes.length) written += writeSync(file, bytes, written);
}
