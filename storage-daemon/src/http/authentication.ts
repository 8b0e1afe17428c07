/**
 * Bearer tokens (RFC 6750). The token is in a file, so that it can be changed without a restart and never
 * shows in a process list; it gives the role `admin`. Comparison takes the same time whatever is presented.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';

import { ProblemError } from '@varve/contract/problem';

/** A changed token counts within this time; a look at the file costs a few microseconds. */
const recheckIntervalMs = 1000;
/** Shorter tokens could be guessed. */
const tokenLengthMin = 16;

/** The token of a file, read again when the file changes. */
export class TokenFile {
  readonly #path: string;
  readonly #nowMs: () => number;
  #digest: Buffer;
  #modifiedMs: number;
  #checkedMs: number;

  /** @throws ProblemError `invalid-argument` if there is no usable token in the file. */
  constructor(path: string, nowMs: () => number) {
    this.#path = path;
    this.#nowMs = nowMs;
    // The time first: a change between the two is then noticed at the next check.
    this.#modifiedMs = readOrRefuse(path, () => statSync(path).mtimeMs);
    this.#digest = readToken(path);
    this.#checkedMs = nowMs();
  }

  /** Whether this is the token. */
  matches(presented: string): boolean {
    this.#recheck();
    return timingSafeEqual(digestOf(presented), this.#digest);
  }

  /**
   * Goes on with the token that it has while the file cannot be read, e.g. in the middle of its replacement.
   */
  #recheck(): void {
    if (this.#nowMs() - this.#checkedMs < recheckIntervalMs) return;
    this.#checkedMs = this.#nowMs();
    try {
      const { mtimeMs } = statSync(this.#path);
      if (mtimeMs === this.#modifiedMs) return;
      this.#digest = readToken(this.#path);
      this.#modifiedMs = mtimeMs;
    } catch {
      // Tried again at the next check.
    }
  }
}

/** @throws ProblemError `unauthenticated` unless the header carries the token. */
export function checkAuthorization(header: string | undefined, token: TokenFile): void {
  const presented = /^Bearer +([^\s]+)$/i.exec(header ?? '')?.[1];
  if (presented === undefined) {
    throw new ProblemError(
      'unauthenticated',
      'Authenticating the request failed: the header "Authorization: Bearer <token>" is missing',
    );
  }
  if (!token.matches(presented)) {
    throw new ProblemError(
      'unauthenticated',
      "Authenticating the request failed: the token is not this daemon's",
    );
  }
}

function readOrRefuse<Found>(path: string, read: () => Found): Found {
  try {
    return read();
  } catch (cause) {
    throw new ProblemError(
      'invalid-argument',
      `Reading the token file "${path}" failed: ${(cause as Error).message}`,
      { cause },
    );
  }
}

function readToken(path: string): Buffer {
  const token = readOrRefuse(path, () => readFileSync(path, 'utf8')).trim();
  if (token.length >= tokenLengthMin && !/\s/.test(token)) return digestOf(token);
  throw new ProblemError(
    'invalid-argument',
    `Reading the token file "${path}" failed: it must hold one token of at least ${tokenLengthMin} characters`,
  );
}

/** Digests have one length, so their comparison tells nothing about the token's. */
function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
