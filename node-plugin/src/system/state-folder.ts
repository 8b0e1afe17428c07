/** A folder of small files, each replaced as a whole: written beside, synced, renamed, and the folder synced. */
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

const suffix = '.json';

/** Keeps state files. */
export class StateFolder {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async list(): Promise<readonly string[]> {
    try {
      return (await readdir(this.#folder)).filter((name) => name.endsWith(suffix));
    } catch (error) {
      if (isAbsent(error)) return [];
      throw error;
    }
  }

  /** What was written last; undefined when there is nothing. */
  async read(name: string): Promise<string | undefined> {
    try {
      return await readFile(join(this.#folder, name), 'utf8');
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  }

  /** Durable when it returns. */
  async write(name: string, content: string): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const partial = join(this.#folder, `${name}.partial`);
    const file = await open(partial, 'w', 0o600);
    try {
      // One that a killed plugin left may have other rights.
      await file.chmod(0o600);
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, join(this.#folder, name));
    await this.#sync();
  }

  /** One that is not there is fine. */
  async remove(name: string): Promise<void> {
    await rm(join(this.#folder, name), { force: true });
    await this.#sync().catch((error: unknown) => {
      if (!isAbsent(error)) throw error;
    });
  }

  async #sync(): Promise<void> {
    const folder = await open(this.#folder, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }
}

function isAbsent(error: unknown): boolean {
  return (error as { readonly code?: unknown }).code === 'ENOENT';
}
