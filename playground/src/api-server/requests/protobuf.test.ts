import { describe, expect, test } from '@jest/globals';
import { assert, property, uint8Array } from 'fast-check';
import { isApiError } from '../objects/api-error.ts';
import { readProtobuf } from './protobuf.ts';

const magic = Buffer.from('k8s\0');

/** One field that is a chunk. */
function chunk(number: number, content: string | Buffer): Buffer {
  const bytes = Buffer.from(content);
  expect(bytes.length).toBeLessThan(128);
  return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes]);
}

function envelope(kind: string, raw: Buffer): Buffer {
  const typeMeta = Buffer.concat([chunk(1, 'v1'), chunk(2, kind)]);
  return Buffer.concat([magic, chunk(1, typeMeta), chunk(2, raw), chunk(3, ''), chunk(4, '')]);
}

const metadata = Buffer.concat([
  chunk(1, 'name'),
  chunk(2, ''),
  // creationTimestamp, which is the server's: an empty message.
  chunk(8, ''),
  chunk(11, Buffer.concat([chunk(1, 'app'), chunk(2, 'db')])),
  chunk(14, 'example.dev/a'),
  chunk(14, 'example.dev/b'),
]);

describe('readProtobuf()', () => {
  test('reads metadata, maps, bytes, flags and lists', () => {
    const secret = Buffer.concat([
      chunk(1, metadata),
      chunk(2, Buffer.concat([chunk(1, 'key'), chunk(2, 'value')])),
      chunk(3, 'Opaque'),
      Buffer.from([(5 << 3) | 0, 1]),
    ]);
    expect(readProtobuf(envelope('Secret', secret))).toEqual({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: {
        name: 'name',
        labels: { app: 'db' },
        finalizers: ['example.dev/a', 'example.dev/b'],
      },
      data: { key: 'dmFsdWU=' },
      type: 'Opaque',
      immutable: true,
    });
  });

  test('refuses kinds that it does not read, by name', () => {
    expect(() => readProtobuf(envelope('Service', chunk(1, metadata)))).toThrow('of v1 Service');
  });

  test('refuses a body that is cut anywhere', () => {
    const whole = envelope('Namespace', chunk(1, metadata));
    for (let length = 0; length < whole.length - 4; length++) {
      expect(() => readProtobuf(whole.subarray(0, length))).toThrow(/protobuf/);
    }
  });

  test('answers any bytes with an object or a refusal', () => {
    assert(
      property(uint8Array({ maxLength: 60 }), (bytes) => {
        for (const body of [Buffer.from(bytes), envelope('ConfigMap', Buffer.from(bytes))]) {
          try {
            readProtobuf(body);
          } catch (error) {
            expect(isApiError(error)).toBe(true);
          }
        }
      }),
    );
  });
});
