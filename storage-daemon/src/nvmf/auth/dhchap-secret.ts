/**
 * Secrets as users write them and `nvme gen-dhchap-key` prints them (NVMe Base 2.0, section 8.13.5.8):
 *
 *   "DHHC-1:" hash ":" base64(key, CRC-32 of the key, little-endian) ":"
 *
 * `hash` says how the key is transformed before use: 00 not at all, 01 to 03 with SHA-256, SHA-384 or SHA-512. Keys
 * have 32, 48 or 64 bytes, with any of the hashes. No message of this file quotes any part of a secret.
 */
import { createHmac } from 'node:crypto';
import { crc32 } from 'node:zlib';

import { type DhchapHashId, hashName, isHashId } from './dhchap-parameters.ts';

/** A text that is no secret. The message says what is wrong and what is allowed, never what the text was. */
export class DhchapSecretError extends Error {
  override readonly name = 'DhchapSecretError';
  readonly kind = 'dhchap-secret';
}

/** A parsed secret. */
export interface DhchapSecret {
  /** Undefined: the key is used as it is. */
  readonly hash: DhchapHashId | undefined;
  readonly key: Buffer;
}

const secretPattern = /^DHHC-1:([0-9a-fA-F]{2}):([A-Za-z0-9+/]+={0,2}):$/;
const keySizesBytes: readonly number[] = [32, 48, 64];
const checksumBytes = 4;

/** Parses a secret; a {@link DhchapSecretError} says what is wrong with it. */
export function parseDhchapSecret(text: string): DhchapSecret {
  const [, hashText, base64] = secretPattern.exec(text) ?? [];
  if (hashText === undefined || base64 === undefined) {
    throw new DhchapSecretError('must have the form "DHHC-1:<00..03>:<base64>:"');
  }
  const hash = Number.parseInt(hashText, 16);
  if (hash !== 0 && !isHashId(hash)) {
    throw new DhchapSecretError('names an unknown hash; 00, 01, 02 and 03 are allowed');
  }
  const bytes = Buffer.from(base64, 'base64');
  const keyBytes = bytes.length - checksumBytes;
  // Base64 that does not come back as it was has stray bits, or a length that is none.
  if (bytes.toString('base64') !== base64 || !keySizesBytes.includes(keyBytes)) {
    throw new DhchapSecretError('must hold 32, 48 or 64 bytes of key and 4 of checksum in base64');
  }
  const key = bytes.subarray(0, keyBytes);
  if (bytes.readUInt32LE(keyBytes) !== crc32(key)) {
    throw new DhchapSecretError('has a wrong checksum: it was mistyped or cut');
  }
  return { hash: hash === 0 ? undefined : hash, key };
}

/** The text of a secret. */
export function formatDhchapSecret({ hash, key }: DhchapSecret): string {
  const checksum = Buffer.alloc(checksumBytes);
  checksum.writeUInt32LE(crc32(key));
  return `DHHC-1:0${hash ?? 0}:${Buffer.concat([key, checksum]).toString('base64')}:`;
}

/**
 * The key that responses are computed with. A transformed key works for one name only.
 *
 * @param nqn The name of the side that proves itself with the key.
 */
export function transformKey({ hash, key }: DhchapSecret, nqn: string): Buffer {
  if (hash === undefined) return key;
  return createHmac(hashName(hash), key).update(nqn).update('NVMe-over-Fabrics').digest();
}
