import { describe, expect, test } from '@jest/globals';
import { formatHandle, formatPlacement, parseHandle, parsePlacement } from './storage-handle.ts';

describe('parseHandle()', () => {
  test('reads what formatHandle() writes', () => {
    const handle = { daemon: 'node-1.example', id: 'pvc-0f7c' };
    expect(formatHandle(handle)).toBe('node-1.example/pvc-0f7c');
    expect(parseHandle(formatHandle(handle))).toEqual(handle);
  });

  test.each(['', '/', 'a/', '/b', 'a', 'a/b/c', 'A/b', 'a/-b', 'a /b', 'vol-123'])(
    'refuses %p',
    (handle) => {
      expect(parseHandle(handle)).toBeUndefined();
    },
  );
});

describe('parsePlacement()', () => {
  test('reads what formatPlacement() writes', () => {
    const placement = { daemon: 'node-1', pool: 'nvme' };
    expect(formatPlacement(placement)).toBe('node-1/nvme');
    expect(parsePlacement('node-1/nvme')).toEqual(placement);
    expect(parsePlacement('node-1')).toBeUndefined();
  });
});
