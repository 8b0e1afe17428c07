/** Hash functions and groups that a DH-HMAC-CHAP exchange chooses from (NVMe Base 2.0, section 8.13.5.2). */

/** Identifiers of hash functions. */
export const DhchapHash = { SHA_256: 1, SHA_384: 2, SHA_512: 3 } as const;

/** One of the hash functions. */
export type DhchapHashId = (typeof DhchapHash)[keyof typeof DhchapHash];

/** Identifiers of Diffie-Hellman groups (RFC 7919, and none). */
export const DhchapGroup = {
  NULL: 0,
  FFDHE_2048: 1,
  FFDHE_3072: 2,
  FFDHE_4096: 3,
  FFDHE_6144: 4,
  FFDHE_8192: 5,
} as const;

/** One of the groups. */
export type DhchapGroupId = (typeof DhchapGroup)[keyof typeof DhchapGroup];

const hashes: Record<DhchapHashId, { readonly name: string; readonly sizeBytes: number }> = {
  [DhchapHash.SHA_256]: { name: 'sha256', sizeBytes: 32 },
  [DhchapHash.SHA_384]: { name: 'sha384', sizeBytes: 48 },
  [DhchapHash.SHA_512]: { name: 'sha512', sizeBytes: 64 },
};

/** The name by which node:crypto knows a hash function. */
export function hashName(hash: DhchapHashId): string {
  return hashes[hash].name;
}

/** Bytes of a hash, and so of a challenge and of a response. */
export function hashSizeBytes(hash: DhchapHashId): number {
  return hashes[hash].sizeBytes;
}

/** True if the number names a hash function. */
export function isHashId(value: number): value is DhchapHashId {
  return Object.hasOwn(hashes, value);
}

/** True if the number names a group. */
export function isGroupId(value: number): value is DhchapGroupId {
  return value >= DhchapGroup.NULL && value <= DhchapGroup.FFDHE_8192;
}
