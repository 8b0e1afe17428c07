import { expect, test } from '@jest/globals';

import { DhchapHash } from './dhchap-parameters.ts';
import { formatDhchapSecret, parseDhchapSecret, transformKey } from './dhchap-secret.ts';

const hostNqn = 'nqn.2014-08.org.nvmexpress:uuid:00000000-0000-0000-0000-000000000001';

function countingBytes(sizeBytes: number): Buffer {
  return Buffer.from(Array.from({ length: sizeBytes }, (_, index) => index));
}

// Printed by nvme-cli 2.3: `nvme gen-dhchap-key -m 0 -l <size> -s 000102...`.
const secrets = [
  [32, 'DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:'],
  [48, 'DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vcSEgBQ==:'],
  [
    64,
    'DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P4zODhA=:',
  ],
] as const;

test.each(secrets)('parseDhchapSecret() reads %d bytes that nvme-cli wrote', (sizeBytes, text) => {
  const secret = parseDhchapSecret(text);
  expect(secret).toEqual({ hash: undefined, key: countingBytes(sizeBytes) });
  expect(formatDhchapSecret(secret)).toBe(text);
});

test.each([
  ['00', undefined],
  ['01', DhchapHash.SHA_256],
  ['02', DhchapHash.SHA_384],
  ['03', DhchapHash.SHA_512],
])('parseDhchapSecret() reads the example of the specification with hash %s', (digits, hash) => {
  const text = `DHHC-1:${digits}:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:`;
  expect(parseDhchapSecret(text).hash).toBe(hash);
  expect(formatDhchapSecret(parseDhchapSecret(text))).toBe(text);
});

// nvme-cli 2.3 transforms with `-m 1 -l 32`, `-m 2 -l 48`, `-m 3 -l 64` and prints the outcome as a key.
test.each([
  [32, DhchapHash.SHA_256, 'bHuByyp0b3RFSx1xQPMVO1HKmUWfzveoahfydpW4fNgSLMVm'],
  [
    48,
    DhchapHash.SHA_384,
    'yRbznXvUOKyUzpjxLyIgLGvEOxsb9/CBo2/XbRG0sXMHJv918yV2tXSc+gbRp7T1eXmwtA==',
  ],
  [
    64,
    DhchapHash.SHA_512,
    'XaedOIjF3axQewl4QMTIr4xwmePzL78hYgnSQQP1S88iKE5wNLtXmomXR19QrsC/88ytGEVjd56B9IxAUHG5cMGgMCQ=',
  ],
] as const)('transformKey() of %d bytes agrees with nvme-cli', (sizeBytes, hash, base64) => {
  const transformed = transformKey({ hash, key: countingBytes(sizeBytes) }, hostNqn);
  expect(transformed).toEqual(Buffer.from(base64, 'base64').subarray(0, -4));
});

test('transformKey() leaves a key alone that names no hash', () => {
  expect(transformKey({ hash: undefined, key: countingBytes(32) }, hostNqn)).toEqual(
    countingBytes(32),
  );
});

const good = 'ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n';
test.each([
  ['', 'form'],
  [`DHHC-1:00:${good}`, 'form'],
  [`DHHC-2:00:${good}:`, 'form'],
  [` DHHC-1:00:${good}:`, 'form'],
  [`DHHC-1:00:${good}:\n`, 'form'],
  [`DHHC-1:04:${good}:`, 'unknown hash'],
  [`DHHC-1:ff:${good}:`, 'unknown hash'],
  ['DHHC-1:00:AAAA:', '32, 48 or 64 bytes'],
  [`DHHC-1:00:${good.slice(0, -1)}:`, '32, 48 or 64 bytes'],
  [`DHHC-1:00:${good}${good}:`, '32, 48 or 64 bytes'],
  [`DHHC-1:00:j${good.slice(1)}:`, 'checksum'],
  [`DHHC-1:00:${good.slice(0, -1)}o:`, 'checksum'],
])('parseDhchapSecret() refuses %j and does not quote it', (text, reason) => {
  const failure = catchError(() => parseDhchapSecret(text));
  expect(failure).toMatchObject({
    kind: 'dhchap-secret',
    message: expect.stringContaining(reason),
  });
  expect(String(failure)).not.toContain(good.slice(2, 20));
});

function catchError(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    return error;
  }
}
