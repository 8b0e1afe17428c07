import { describe, expect, test } from '@jest/globals';
import { exportUri, parseMap } from './nbd-clients.ts';

describe('parseMap()', () => {
  test('reads data, holes and zeros', () => {
    const text = [
      '         0       65536    0  data',
      '     65536     4128768    3  hole,zero',
      '   4194304        4096    2  zero',
      '',
    ].join('\n');
    expect(parseMap(text)).toEqual([
      { offsetBytes: 0, sizeBytes: 65536, type: 'data' },
      { offsetBytes: 65536, sizeBytes: 4128768, type: 'hole,zero' },
      { offsetBytes: 4194304, sizeBytes: 4096, type: 'zero' },
    ]);
  });

  test('refuses a line that it does not understand', () => {
    expect(() => parseMap('0 65536 9 odd')).toThrow('Reading the map line "0 65536 9 odd" failed');
  });
});

describe('exportUri()', () => {
  test('names the export and the socket', () => {
    expect(exportUri('/tmp/n.sock', 'volume/pvc-1')).toBe(
      'nbd+unix:///volume/pvc-1?socket=/tmp/n.sock',
    );
  });
});
