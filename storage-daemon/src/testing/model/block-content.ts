/**
 * What simulated clients write: blocks that say who wrote them. Each 512-byte sector carries pool, volume, block
 * number, write token and a checksum, and the rest of it is drawn from the token; so stale, foreign, misplaced, torn
 * or damaged data is recognised by reading it, whatever path it came by.
 *
 * A token names one block of one write and is never used twice in a run; 0 stands for zeros. A block that a power cut
 * tore gets a token of its own (see `TornBlocks`).
 */
import { assert } from '@varve/common/assert';

import { blockSizeBytes } from '../../units.ts';

const sectorSizeBytes = 512;
const sectorWords = sectorSizeBytes / 4;
/** Sectors in a block. */
export const blockSectors = blockSizeBytes / sectorSizeBytes;
const magic = 0x56_42_4c_4b;
/** Tokens from here on are torn blocks. */
const firstTornToken = 2 ** 31;

/** Who wrote a block. */
export interface BlockIdentity {
  readonly pool: number;
  readonly volume: number;
  readonly lbn: number;
  readonly token: number;
}

/** Writes the content of a block. */
export function encodeBlock(identity: BlockIdentity, target: Uint8Array): void {
  assert(target.length === blockSizeBytes, `${target.length} bytes are not a block`);
  const words = new Uint32Array(blockSizeBytes / 4);
  for (let sector = 0; sector < blockSectors; sector++) encodeSector(words, identity, sector);
  target.set(new Uint8Array(words.buffer));
}

function encodeSector(words: Uint32Array, identity: BlockIdentity, sector: number): void {
  const start = sector * sectorWords;
  words[start] = magic;
  words[start + 1] = identity.pool;
  words[start + 2] = identity.volume;
  words[start + 3] = identity.lbn;
  words[start + 4] = identity.token;
  words[start + 5] = sector;
  let filler = Math.imul(identity.token ^ (sector << 24), 0x9e3779b1);
  let check = filler ^ identity.pool ^ identity.volume ^ identity.lbn;
  for (let index = 6; index < sectorWords - 1; index++) {
    filler = (Math.imul(filler, 0x915f77f5) + 0x6a09e667) | 0;
    words[start + index] = filler;
    check = Math.imul(check ^ filler, 0x01000193);
  }
  words[start + sectorWords - 1] = check;
}

/** The tokens found in a block's sectors, or what is wrong with it. */
export type BlockFinding =
  | { readonly kind: 'whole'; readonly token: number }
  | { readonly kind: 'mixed'; readonly sectorTokens: readonly number[] }
  | { readonly kind: 'damaged'; readonly message: string };

const scratch = new Uint32Array(blockSizeBytes / 4);

/** Reads who wrote a block. `pool` and `lbn` are those it was read from; any other are damage. */
export function decodeBlock(bytes: Uint8Array, pool: number, lbn: number): BlockFinding {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, blockSizeBytes / 4);
  const tokens: number[] = [];
  for (let sector = 0; sector < blockSectors; sector++) {
    const found = decodeSector(words, sector, { pool, lbn });
    if (typeof found === 'string') return { kind: 'damaged', message: found };
    tokens.push(found);
  }
  const first = tokens[0]!;
  if (tokens.every((token) => token === first)) return { kind: 'whole', token: first };
  return { kind: 'mixed', sectorTokens: tokens };
}

function decodeSector(
  words: Uint32Array,
  sector: number,
  place: { pool: number; lbn: number },
): number | string {
  const start = sector * sectorWords;
  if (words[start] !== magic) {
    for (let index = 0; index < sectorWords; index++) {
      if (words[start + index] !== 0) return `sector ${sector} was not written by a client`;
    }
    return 0;
  }
  const identity = {
    pool: words[start + 1]!,
    volume: words[start + 2]!,
    lbn: words[start + 3]!,
    token: words[start + 4]!,
  };
  if (identity.pool !== place.pool) return `sector ${sector} is of pool ${identity.pool}`;
  if (identity.lbn !== place.lbn) {
    return `sector ${sector} is block ${identity.lbn} of volume ${identity.volume}`;
  }
  encodeSector(scratch, identity, sector);
  for (let index = 0; index < sectorWords; index++) {
    if (scratch[start + index] !== words[start + index]) return `sector ${sector} is damaged`;
  }
  return identity.token;
}

/** Gives each different mixture of torn writes a token, the same one wherever it is found again. */
export class TornBlocks {
  readonly #tokens = new Map<string, number>();
  readonly #mixtures: (readonly number[])[] = [];

  tokenOf(sectorTokens: readonly number[], lbn: number): number {
    const key = `${lbn}:${sectorTokens.join(',')}`;
    let token = this.#tokens.get(key);
    if (token === undefined) {
      token = firstTornToken + this.#mixtures.length;
      this.#tokens.set(key, token);
      this.#mixtures.push([...sectorTokens]);
    }
    return token;
  }

  /** The token of one sector of the block that `token` stands for. */
  sectorToken(token: number, sector: number): number {
    if (token < firstTornToken) return token;
    return this.#mixtures[token - firstTornToken]![sector]!;
  }
}
