import { describe, expect, test } from '@jest/globals';

import { IoBufferPool } from './io-buffer.ts';
import { OutputBatch, outputPiecesMax } from './output-batch.ts';
import { OutputQueue, type Reply } from './output-queue.ts';

function newPool(): IoBufferPool {
  return new IoBufferPool([{ sizeBytes: 16, countMax: 1 }], (sizeBytes) => Buffer.alloc(sizeBytes));
}

function textOf(batch: OutputBatch): string {
  return batch.pieces
    .slice(0, batch.pieceCount)
    .map(({ bytes, start, lengthBytes }) => bytes.toString('latin1', start, start + lengthBytes))
    .join('');
}

function write(batch: OutputBatch, text: string): void {
  batch.bytes.write(text, batch.reserve(text.length));
}

describe('OutputBatch', () => {
  test('joins what is copied, and keeps the order with what is sent in place', () => {
    const pool = newPool();
    const batch = new OutputBatch(Buffer.alloc(64));
    const buffer = pool.acquire(5);
    buffer.bytes.write('_data');
    write(batch, 'ab');
    write(batch, 'cd');
    batch.addInPlace(buffer, 1, 4);
    batch.hold(buffer);
    write(batch, 'ef');
    expect(textOf(batch)).toBe('abcddataef');
    expect(batch.pieceCount).toBe(3);
    expect(batch.lengthBytes).toBe(10);
  });

  test('gives held buffers back when it is cleared, not before', () => {
    const pool = newPool();
    const batch = new OutputBatch(Buffer.alloc(64));
    const buffer = pool.acquire(1);
    batch.hold(buffer);
    expect(pool.acquire(1)).not.toBe(buffer);
    batch.clear(pool);
    expect(pool.acquire(1)).toBe(buffer);
    expect(batch.pieceCount).toBe(0);
  });

  test('says when it is full, of bytes or of pieces', () => {
    const pool = newPool();
    const batch = new OutputBatch(Buffer.alloc(4));
    expect(batch.hasRoom(4, 1)).toBe(true);
    expect(batch.hasRoom(5, 1)).toBe(false);
    for (let count = 0; count < outputPiecesMax; count++) batch.addInPlace(pool.acquire(1), 0, 1);
    expect(batch.hasRoom(0, 1)).toBe(false);
  });
});

describe('IoBufferPool', () => {
  test('falls back to memory of the moment, which is not kept', () => {
    const pool = newPool();
    const first = pool.acquire(16);
    const second = pool.acquire(16);
    pool.release(second);
    pool.release(first);
    expect(pool.acquire(1)).toBe(first);
    expect(pool.acquire(1)).not.toBe(second);
    expect(pool.acquire(17).bytes).toHaveLength(17);
  });

  test('a buffer that is given back twice is our own bug', () => {
    const pool = newPool();
    const buffer = pool.acquire(1);
    pool.release(buffer);
    expect(() => pool.release(buffer)).toThrow('released twice');
  });
});

describe('OutputQueue', () => {
  test('moves messages in parts and replies whole, in order', () => {
    const queue = new OutputQueue();
    const reply: Reply = {
      replyBytes: 3,
      tryEncode: (batch) => {
        if (!batch.hasRoom(3, 1)) return false;
        write(batch, '<r>');
        return true;
      },
      drop: () => undefined,
    };
    queue.push(Buffer.from('0123456789'));
    queue.push(reply);
    queue.push(Buffer.from('end'));
    expect(queue.lengthBytes).toBe(16);
    const texts: string[] = [];
    while (!queue.isEmpty) {
      const batch = new OutputBatch(Buffer.alloc(6));
      queue.moveTo(batch);
      texts.push(textOf(batch));
    }
    expect(texts).toEqual(['012345', '6789', '<r>end']);
    expect(queue.lengthBytes).toBe(0);
  });

  test('drops replies when it is cleared', () => {
    const queue = new OutputQueue();
    let dropped = 0;
    queue.push(Buffer.from('ab'));
    queue.push({ replyBytes: 1, tryEncode: () => true, drop: () => dropped++ });
    queue.clear();
    expect(dropped).toBe(1);
    expect(queue.isEmpty).toBe(true);
    expect(queue.lengthBytes).toBe(0);
  });
});
