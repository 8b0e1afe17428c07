import { describe, expect, test } from '@jest/globals';

import { blockSizeBytes } from '../../units.ts';
import { TornBlocks, decodeBlock, encodeBlock } from './block-content.ts';

const identity = { pool: 3, volume: 7, lbn: 11, token: 1234 };

function encoded(changes: Partial<typeof identity> = {}): Uint8Array {
  const bytes = new Uint8Array(blockSizeBytes);
  encodeBlock({ ...identity, ...changes }, bytes);
  return bytes;
}

describe('decodeBlock()', () => {
  test('finds who wrote a block', () => {
    expect(decodeBlock(encoded(), 3, 11)).toEqual({ kind: 'whole', token: 1234 });
  });

  test('takes zeros for token 0', () => {
    const zeros = new Uint8Array(blockSizeBytes);
    expect(decodeBlock(zeros, 3, 11)).toEqual({ kind: 'whole', token: 0 });
  });

  test('notices a block of another pool, and one from another place', () => {
    expect(decodeBlock(encoded(), 4, 11)).toMatchObject({ kind: 'damaged' });
    expect(decodeBlock(encoded(), 3, 12)).toMatchObject({ kind: 'damaged' });
  });

  test('notices every flipped byte', () => {
    const bytes = encoded();
    for (let index = 0; index < blockSizeBytes; index++) {
      bytes[index]! ^= 0x40;
      const found = decodeBlock(bytes, 3, 11);
      expect(found.kind === 'whole' && found.token === 1234).toBe(false);
      bytes[index]! ^= 0x40;
    }
  });

  test('tells the tokens of a torn block sector by sector', () => {
    const bytes = encoded();
    bytes.set(encoded({ token: 99 }).subarray(0, 1024));
    expect(decodeBlock(bytes, 3, 11)).toEqual({
      kind: 'mixed',
      sectorTokens: [99, 99, 1234, 1234, 1234, 1234, 1234, 1234],
    });
  });
});

describe('TornBlocks', () => {
  test('gives the same mixture the same token, per block', () => {
    const torn = new TornBlocks();
    const token = torn.tokenOf([1, 1, 2, 2, 1, 1, 1, 1], 5);
    expect(torn.tokenOf([1, 1, 2, 2, 1, 1, 1, 1], 5)).toBe(token);
    expect(torn.tokenOf([1, 1, 2, 2, 1, 1, 1, 1], 6)).not.toBe(token);
    expect(torn.sectorToken(token, 2)).toBe(2);
    expect(torn.sectorToken(17, 2)).toBe(17);
  });
});
