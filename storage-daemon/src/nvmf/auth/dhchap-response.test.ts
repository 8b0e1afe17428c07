import { expect, test } from '@jest/globals';

import { DhchapHash, hashSizeBytes } from './dhchap-parameters.ts';
import { controllerResponse, hostResponse, isSameResponse } from './dhchap-response.ts';

const hostNqn = 'nqn.2014-08.org.nvmexpress:uuid:00000000-0000-0000-0000-000000000001';
const subsystemNqn = 'nqn.2026-11.dev.varve:volume:00000000-0000-0000-0000-000000000002';

function bytesFrom(first: number, sizeBytes: number): Buffer {
  return Buffer.from(Array.from({ length: sizeBytes }, (_, index) => first + index));
}

// Computed with Python's hmac and hashlib from the formula of the specification. The shared secret is the bytes
// 0, 1, ... 250, 0, ... 4.
const { SHA_256, SHA_384, SHA_512 } = DhchapHash;
test.each([
  [
    SHA_256,
    false,
    'fe52dd8d85de1dbb6fe3c2458a37bd073b5c617211dbe50e79de95b3363f0d77',
    'b11f7e7a60e20c21fd0756d891d9f7f4389624487a73551746637e6a8bc0b13f',
  ],
  [
    SHA_256,
    true,
    '8414c035a0a3704cd251b9e53209db1f21551c5da36371f838f61080a6fb9c43',
    '842374672767afc1ef9777df390832c8f7d1fdf5bc0614cbcaac14ca111a804d',
  ],
  [
    SHA_384,
    false,
    '9bee5304bafb382cb58f058b8b0461cd7b7be7b13b308d061ce512265100c818a5468b0fb1bc1c480f891b72558a8390',
    '6e7f2a37135f14c063d1ded7fe7eaab9710a054dbec1a6deadd585b9a0cf75209006d00307895878df3ea62f9d522dd9',
  ],
  [
    SHA_384,
    true,
    '226157fc9bef173c5e686767c3c9e9209ac71f5f0d667f66ad2cffdd7ee5170e20dccb3a74191c2cdab607ac1b81795a',
    '58cee87707690bf9188bffb09cf307de3aafc92cbdd82fab12727308951b41617bc64893d91a5050849a8fe47101e671',
  ],
  [
    SHA_512,
    false,
    '316bf4f541cf3b4cb7e3d15ec33b3068b36a748aab7db63ff45654b75afed76bf809367b5d8c24e6994f7f727b4231fcf84c195734baa4150efb26243f603d1b',
    '7722ddbf90ef745866796d1b7311750dd3fa40d3227914e0593bc9dc71a17f3bef6f16966ff8b233773a3d50d605241c72bbdeb00cd46751c613c1b4787308e4',
  ],
  [
    SHA_512,
    true,
    '859af885871356743ed9f63c7a9f68208c875d22bd1c250dc9d85e10aae9d8edfa8812d6403d40c0c0326a212ceb4285fb3182c6f9463f666383bd2daba2c9ed',
    '78530b3ae05a4a6fe7b07a316a3d209e6fe589135118ad41df7884b8b94cb7c8d89639e878b4c50b600b9499fc2bb57741e2a5aa6f400c11d67b552d29ee3621',
  ],
] as const)('responses with hash %d, Diffie-Hellman %s', (hash, isAugmented, host, controller) => {
  const input = {
    hash,
    key: bytesFrom(0, 32),
    challenge: bytesFrom(100, hashSizeBytes(hash)),
    sharedSecret: isAugmented ? Buffer.concat([bytesFrom(0, 251), bytesFrom(0, 5)]) : undefined,
    sequenceNumber: 0x01020304,
    transactionId: 0x0506,
    secureChannel: 0,
    hostNqn,
    subsystemNqn,
  };
  expect(hostResponse(input).toString('hex')).toBe(host);
  expect(controllerResponse(input).toString('hex')).toBe(controller);
});

test('isSameResponse() tells responses apart, whatever their lengths', () => {
  const response = bytesFrom(0, 32);
  expect(isSameResponse(response, bytesFrom(0, 32))).toBe(true);
  expect(isSameResponse(response, bytesFrom(1, 32))).toBe(false);
  expect(isSameResponse(response, bytesFrom(0, 48))).toBe(false);
  expect(isSameResponse(Buffer.of(), response)).toBe(false);
});
