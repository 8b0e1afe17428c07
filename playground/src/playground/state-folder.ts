/**
 * The folder of one playground: where everything is, who may use it, and what must stay the same over a restart.
 *
 * The folder is locked (flock on `lock`) for as long as a playground runs on it; the kernel drops the lock with the
 * process, however that ends.
 */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { lockFile } from '@varve/storage-daemon/device/device-lock';

/** A path of a unix socket may have so many bytes (unix(7)). */
const socketPathBytesMax = 107;

/** The playground cannot use the folder; the message is one sentence for the person who named it. */
export class StateFolderError extends Error {
  override readonly name = 'StateFolderError';
  readonly kind: 'in-use' | 'unusable';

  constructor(kind: 'in-use' | 'unusable', message: string) {
    super(message);
    this.kind = kind;
  }
}

/** What a restart keeps. */
export interface PlaygroundSettings {
  /** The API server's port, used again if it is free. */
  readonly port: number;
}

/** Everything that a playground makes in its folder: what `--fresh` deletes, and nothing else. */
const contents = [
  'api-server',
  'daemon',
  'daemon.sock',
  'kubeconfig',
  'logs',
  'nbd.sock',
  'playground.json',
  'pool.img',
] as const;

/** A folder that this process has locked. */
export class StateFolder {
  readonly path: string;
  readonly #lock: number;

  private constructor(path: string, lock: number) {
    this.path = path;
    this.#lock = lock;
  }

  /** Locks the folder, making it if it is not there. Throws StateFolderError if it cannot be used. */
  static open(folder: string): StateFolder {
    if (folder === '') {
      throw new StateFolderError('unusable', 'Cannot use "" as the state folder: name a folder.');
    }
    const path = resolve(folder);
    checkSocketPaths(path);
    let lock: number;
    try {
      makeFolder(path);
      lock = openSync(join(path, 'lock'), 'a', 0o600);
    } catch (error) {
      const why = (error as Error).message;
      throw new StateFolderError('unusable', `Cannot use the state folder ${path}: ${why}`);
    }
    try {
      lockFile(lock, join(path, 'lock'));
    } catch (error) {
      closeSync(lock);
      const why = (error as Error).message.replace(/^.*held by/, 'by');
      throw new StateFolderError(
        'in-use',
        `Another playground runs on ${path} (${why}): stop it, or name another folder with --state.`,
      );
    }
    return new StateFolder(path, lock);
  }

  get kubeconfigFile(): string {
    return join(this.path, 'kubeconfig');
  }

  get controlSocket(): string {
    return join(this.path, 'daemon.sock');
  }

  get nbdSocket(): string {
    return join(this.path, 'nbd.sock');
  }

  /** Where NBD clients find an export: an address that they and a shell, in quotes, take as it is. */
  nbdUri(exportName: string): string {
    const socket = encodeURIComponent(this.nbdSocket).replaceAll('%2F', '/');
    return `nbd+unix:///${exportName}?socket=${socket.replaceAll("'", '%27')}`;
  }

  get poolFile(): string {
    return join(this.path, 'pool.img');
  }

  /** Where the API server keeps its objects. */
  get objectsFolder(): string {
    return join(this.path, 'api-server');
  }

  /** Where the storage daemon keeps its identity and list of pools. */
  get daemonFolder(): string {
    return join(this.path, 'daemon');
  }

  /** The log of a program. */
  logFile(program: string): string {
    mkdirSync(join(this.path, 'logs'), { recursive: true });
    return join(this.path, 'logs', `${program}.log`);
  }

  /** Deletes what earlier playgrounds left here, and nothing that they did not make. */
  clear(): void {
    for (const name of contents) rmSync(join(this.path, name), { recursive: true, force: true });
  }

  /** Reads what is to stay the same; before the first start, nothing is known. */
  readSettings(): PlaygroundSettings {
    const file = join(this.path, 'playground.json');
    if (!existsSync(file)) return { port: 0 };
    try {
      return JSON.parse(readFileSync(file, 'utf8')) as PlaygroundSettings;
    } catch (error) {
      const why = (error as Error).message;
      throw new StateFolderError(
        'unusable',
        `Reading ${file} failed: ${why}. Delete the file, or start anew with --fresh.`,
      );
    }
  }

  /** Records what is to stay the same. */
  writeSettings(settings: PlaygroundSettings): void {
    const file = join(this.path, 'playground.json');
    writeFileSync(`${file}.new`, `${JSON.stringify(settings)}\n`, { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }

  /** Lets others use the folder. */
  close(): void {
    closeSync(this.#lock);
  }
}

/** With its parents. Not Node's recursive mkdir: that never returns where a parent takes no folders (as /proc). */
function makeFolder(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return;
  if (dirname(path) !== path) makeFolder(dirname(path));
  mkdirSync(path, { mode: 0o700 });
}

function checkSocketPaths(path: string): void {
  const longest = join(path, 'daemon.sock');
  const excessBytes = Buffer.byteLength(longest) - socketPathBytesMax;
  if (excessBytes <= 0) return;
  throw new StateFolderError(
    'unusable',
    `Cannot use the state folder ${path}: its path is ${excessBytes} bytes too long for a unix socket in it ` +
      `(at most ${socketPathBytesMax} bytes): name a shorter one with --state.`,
  );
}
