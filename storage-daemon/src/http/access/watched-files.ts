/**
 * Files that may change while the daemon runs: credentials and certificates. A change counts within a second of its
 * first use; a look costs some microseconds. While what is there cannot be used (in the middle of a replacement, or a
 * mistake), what was read last stays in force.
 */
import { readFileSync, statSync } from 'node:fs';

import { ProblemError } from '@varve/contract/problem';

const recheckIntervalMs = 1000;

/** What the files need. */
export interface WatchedFilesDependencies {
  readonly nowMs: () => number;
  /** Told once per change that cannot be used. */
  readonly warn: (message: string) => void;
}

/** Some files that are read together. */
export class WatchedFiles<Content> {
  readonly #paths: readonly string[];
  readonly #parse: (texts: readonly string[]) => Content;
  readonly #dependencies: WatchedFilesDependencies;
  #content: Content;
  /** Tells versions of the files apart; undefined while they cannot be looked at. */
  #signature: string | undefined;
  #checkedMs: number;

  /**
   * @param what What messages call the files: "token file".
   * @throws ProblemError `invalid-argument` if the files cannot be used.
   */
  constructor(
    { paths, what }: { readonly paths: readonly string[]; readonly what: string },
    parse: (texts: readonly string[]) => Content,
    dependencies: WatchedFilesDependencies,
  ) {
    this.#paths = paths;
    this.#parse = (texts) => refuseAs(what, paths, () => parse(texts));
    this.#dependencies = dependencies;
    // The signature first: a change between the two is then noticed at the next check.
    this.#signature = signatureOf(paths);
    this.#content = this.#read(what);
    this.#checkedMs = dependencies.nowMs();
  }

  /** What the files hold. The same object until they change. */
  get content(): Content {
    const nowMs = this.#dependencies.nowMs();
    if (nowMs - this.#checkedMs < recheckIntervalMs) return this.#content;
    this.#checkedMs = nowMs;
    const signature = signatureOf(this.#paths);
    if (signature === this.#signature) return this.#content;
    this.#signature = signature;
    // A file that is away for a moment is no change yet.
    if (signature === undefined) return this.#content;
    try {
      this.#content = this.#read('changed file');
    } catch (error) {
      this.#dependencies.warn(`${(error as Error).message}; what it held before stays in force`);
    }
    return this.#content;
  }

  #read(what: string): Content {
    const texts = this.#paths.map((path) =>
      refuseAs(what, [path], () => readFileSync(path, 'utf8')),
    );
    return this.#parse(texts);
  }
}

function signatureOf(paths: readonly string[]): string | undefined {
  try {
    return paths
      .map((path) => {
        const { mtimeMs, ino, size } = statSync(path);
        return `${mtimeMs}/${ino}/${size}`;
      })
      .join(' ');
  } catch {
    return undefined;
  }
}

function refuseAs<Result>(what: string, paths: readonly string[], task: () => Result): Result {
  try {
    return task();
  } catch (cause) {
    const names = paths.map((path) => `"${path}"`).join(', ');
    const message = `Reading the ${what} ${names} failed: ${(cause as Error).message}`;
    throw new ProblemError('invalid-argument', message, { cause });
  }
}
