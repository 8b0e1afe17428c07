import { describe, expect, test } from '@jest/globals';
import { SectorLedger, WriteNumbers, sectorBytes } from './sector-ledger.ts';

const zeros = Buffer.alloc(8 * sectorBytes);

function makeLedger(): SectorLedger {
  return SectorLedger.empty(1, 8 * sectorBytes, new WriteNumbers());
}

/** Sends a write to all sectors; answered where that is said. Returns its content. */
function write(ledger: SectorLedger, promise: 'sent' | 'answered' | 'fua'): Buffer {
  const number = ledger.begin(0, 8, false);
  if (promise !== 'sent') {
    ledger.answered(number, { firstSector: 0, count: 8 }, promise === 'fua');
  }
  return ledger.content(number, 0, 8);
}

describe('SectorLedger', () => {
  test('accepts every state from the last flush on, sector by sector', () => {
    const ledger = makeLedger();
    const old = write(ledger, 'answered');
    ledger.beginFlush()();
    const middle = write(ledger, 'answered');
    const newest = write(ledger, 'sent');
    const parts = [old, middle, newest, old, newest, middle, old, newest];
    const mixed = Buffer.concat(
      parts.map((part, index) => part.subarray(index * sectorBytes, (index + 1) * sectorBytes)),
    );
    expect(() => ledger.settle(0, mixed)).not.toThrow();
  });

  test('accepts zeros before the first flush, and not after it', () => {
    const ledger = makeLedger();
    write(ledger, 'answered');
    const flushed = ledger.beginFlush();
    const before = ledger.beginFork()(2);
    flushed();
    expect(() => before.settle(0, zeros)).not.toThrow();
    expect(() => ledger.settle(0, zeros)).toThrow('has lost write 1');
  });

  test('finds a write that a flush or FUA made durable replaced by an older one', () => {
    const ledger = makeLedger();
    const old = write(ledger, 'fua');
    write(ledger, 'fua');
    expect(() => ledger.settle(0, old)).toThrow('write 2 is lost, which was durable');
  });

  test('a flush covers only what was answered before it was sent', () => {
    const ledger = makeLedger();
    const old = write(ledger, 'fua');
    const flushed = ledger.beginFlush();
    write(ledger, 'answered');
    flushed();
    expect(() => ledger.settle(0, old)).not.toThrow();
  });

  test('finds what the source wrote after the snapshot was answered', () => {
    const ledger = makeLedger();
    const before = write(ledger, 'fua');
    const snapshot = ledger.beginFork()(2);
    const after = write(ledger, 'fua');
    expect(() => snapshot.settle(0, after)).toThrow('newer');
    expect(() => snapshot.settle(0, before)).not.toThrow();
  });

  test('finds sectors in the wrong place, of strangers, and with wrong bytes', () => {
    const ledger = makeLedger();
    const content = write(ledger, 'fua');
    const moved = Buffer.concat([content.subarray(sectorBytes), content.subarray(0, sectorBytes)]);
    expect(() => ledger.settle(0, moved)).toThrow('holds sector 1');
    const stranger = SectorLedger.empty(9, 8 * sectorBytes, new WriteNumbers());
    expect(() => ledger.settle(0, write(stranger, 'fua'))).toThrow('to volume 9');
    const broken = Buffer.from(content);
    broken[100]! ^= 1;
    expect(() => ledger.settle(0, broken)).toThrow('with other bytes in it');
    expect(() => ledger.settle(0, Buffer.alloc(8 * sectorBytes, 1))).toThrow('nobody wrote');
  });

  test('what was read once must not change again', () => {
    const ledger = makeLedger();
    const first = write(ledger, 'sent');
    ledger.settle(0, first);
    expect(() => ledger.settle(0, zeros)).toThrow('has lost write 1');
    expect(() => ledger.settle(0, first)).not.toThrow();
  });
});
