import { describe, expect, test } from '@jest/globals';
import { createCpioArchive } from './cpio-archive.ts';

describe('createCpioArchive()', () => {
  test('writes headers, names and contents padded to 4 bytes, and the trailer', () => {
    const archive = createCpioArchive([
      { path: 'bin' },
      { path: 'init', content: Buffer.from('hello'), isExecutable: true },
    ]).toString('latin1');
    const zeros = '0'.repeat(8);
    const folder = `07070100000001000041ed${zeros.repeat(2)}00000002${zeros.repeat(6)}00000004${zeros}bin\0`;
    const file =
      `07070100000002000081ed${zeros.repeat(2)}00000001${zeros}00000005${zeros.repeat(4)}` +
      `00000005${zeros}init\0`;
    expect(archive.startsWith(`${folder}\0\0${file}\0`)).toBe(true);
    expect(archive.slice(116 + 116).startsWith('hello\0\0\x00070701')).toBe(true);
    expect(archive).toContain('TRAILER!!!\0');
    expect(archive.length % 4).toBe(0);
  });
});
