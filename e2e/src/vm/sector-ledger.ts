/**
 * What one volume may contain after a power cut, and the content itself.
 *
 * Each write has a number, from one counter for all volumes of a run. Every sector of 512 bytes that is written
 * says who wrote it (volume, sector, number of the write), so a read sector names the write that it is from:
 *
 * - a write older than the last one that was promised to be durable (flush, FUA) is a loss;
 * - a write of another volume, place or time is a leak.
 *
 * Sectors are judged one by one: a block that was not flushed may be torn.
 */
import assert from 'node:assert/strict';

/** The least that is atomic. */
export const sectorBytes = 512;
const magic = 0x56415256;
/** Words of a sector that say who wrote it; the others follow from them. */
const headWords = 4;

/** Where numbers of writes come from: one for all volumes that share blocks. */
export class WriteNumbers {
  #last = 0;

  next(): number {
    this.#last += 1;
    return this.#last;
  }
}

/** What is known of a volume's sectors. */
export class SectorLedger {
  readonly volume: number;
  readonly sectors: number;
  readonly #numbers: WriteNumbers;
  /** By sector: the least write that must be there. */
  readonly #durable: Float64Array;
  /** By sector: the last write that was answered. */
  readonly #answered: Float64Array;
  /** By sector: the last write that was sent. */
  readonly #sent: Float64Array;
  /** By sector: the last write of zeros that was sent; 0 is the beginning, where all is zero. */
  readonly #zeroed: Float64Array;
  /** By sector: the last write of others that may be there, from when the volume was made. */
  readonly #inherited: Float64Array;

  private constructor(
    volume: number,
    numbers: WriteNumbers,
    arrays: readonly [Float64Array, Float64Array, Float64Array, Float64Array, Float64Array],
  ) {
    this.volume = volume;
    this.#numbers = numbers;
    [this.#durable, this.#answered, this.#sent, this.#zeroed, this.#inherited] = arrays;
    this.sectors = this.#durable.length;
  }

  /** A new volume: all zeros. */
  static empty(volume: number, sizeBytes: number, numbers: WriteNumbers): SectorLedger {
    const make = (): Float64Array => new Float64Array(sizeBytes / sectorBytes);
    return new SectorLedger(volume, numbers, [make(), make(), make(), make(), make()]);
  }

  /**
   * A snapshot or clone is about to be asked for; call what it returns, with the copy's number, when that was
   * answered. Whatever was sent until then may be in it, and what was durable before must be.
   */
  beginFork(): (volume: number) => SectorLedger {
    const durable = this.#durable.slice();
    const answered = this.#answered.slice();
    return (volume) =>
      new SectorLedger(volume, this.#numbers, [
        durable,
        answered,
        this.#sent.slice(),
        this.#zeroed.slice(),
        this.#sent.slice(),
      ]);
  }

  /** A write is about to be sent: its number. */
  begin(firstSector: number, count: number, isZeros: boolean): number {
    const write = this.#numbers.next();
    this.#sent.fill(write, firstSector, firstSector + count);
    if (isZeros) this.#zeroed.fill(write, firstSector, firstSector + count);
    return write;
  }

  /** The write was answered, and with FUA promised to be durable. */
  answered(
    write: number,
    range: { readonly firstSector: number; readonly count: number },
    fua: boolean,
  ): void {
    const { firstSector, count } = range;
    this.#answered.fill(write, firstSector, firstSector + count);
    if (fua) this.#durable.fill(write, firstSector, firstSector + count);
  }

  /** A flush is about to be sent; call what it returns when the flush was answered. */
  beginFlush(): () => void {
    const covered = this.#answered.slice();
    return () => {
      for (let sector = 0; sector < covered.length; sector++) {
        this.#durable[sector] = Math.max(this.#durable[sector]!, covered[sector]!);
      }
    };
  }

  /** The content of a write that `begin` numbered. */
  content(write: number, firstSector: number, count: number): Buffer {
    const bytes = Buffer.alloc(count * sectorBytes);
    for (let index = 0; index < count; index++) {
      fillSector(bytes, index * sectorBytes, [this.volume, firstSector + index, write]);
    }
    return bytes;
  }

  /**
   * Judges what was read after a cut, and takes it as the state from now on: whatever has been read once must
   * not change again.
   */
  settle(firstSector: number, bytes: Buffer): void {
    for (let index = 0; index * sectorBytes < bytes.length; index++) {
      const sector = firstSector + index;
      const write = this.#judge(
        sector,
        bytes.subarray(index * sectorBytes, (index + 1) * sectorBytes),
      );
      for (const array of [this.#durable, this.#answered, this.#sent]) array[sector] = write;
      if (this.#zeroed[sector] !== write) this.#zeroed[sector] = -1;
    }
  }

  /** The number of the write that a sector is from, if it may be there. */
  #judge(sector: number, bytes: Buffer): number {
    const durable = this.#durable[sector]!;
    const where = `volume ${this.volume}, sector ${sector}`;
    if (isZero(bytes)) {
      const zeroed = this.#zeroed[sector]!;
      assert.ok(zeroed >= durable, `${where} has lost write ${durable}: it is zero`);
      return zeroed;
    }
    const [volume, at, write] = readHead(bytes);
    const found = `${where} holds sector ${at} of write ${write} to volume ${volume}`;
    assert.equal(bytes.readUInt32LE(0), magic, `${where} holds something that nobody wrote`);
    assert.equal(at, sector, found);
    const expected = Buffer.alloc(sectorBytes);
    fillSector(expected, 0, [volume, at, write]);
    assert.ok(expected.equals(bytes), `${found}, with other bytes in it`);
    const newest = volume === this.volume ? this.#sent[sector]! : this.#inherited[sector]!;
    assert.ok(write <= newest, `${found}, which is newer than ${newest}`);
    assert.ok(write >= durable, `${found}: write ${durable} is lost, which was durable`);
    return write;
  }
}

type SectorHead = readonly [volume: number, sector: number, write: number];

function fillSector(
  target: Buffer,
  offsetBytes: number,
  [volume, sector, write]: SectorHead,
): void {
  target.writeUInt32LE(magic, offsetBytes);
  target.writeUInt32LE(volume, offsetBytes + 4);
  target.writeUInt32LE(sector, offsetBytes + 8);
  target.writeUInt32LE(write, offsetBytes + 12);
  let state = (volume * 0x9e3779b1 + sector * 0x85ebca6b + write * 0xc2b2ae35) | 1;
  for (let word = headWords; word < sectorBytes / 4; word++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    target.writeInt32LE(state | 0, offsetBytes + word * 4);
  }
}

function readHead(bytes: Buffer): SectorHead {
  return [bytes.readUInt32LE(4), bytes.readUInt32LE(8), bytes.readUInt32LE(12)];
}

const zeroSector = Buffer.alloc(sectorBytes);

function isZero(bytes: Buffer): boolean {
  return bytes.equals(zeroSector);
}
