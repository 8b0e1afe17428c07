/**
 * A disk whose cache really is lost when the power is: it acknowledges writes from memory, and at a power cut each
 * write that no flush has covered survives whole, in part, or not at all.
 *
 * - What is durable is in a sparse file, so that a checker can be run on it after the cut.
 * - A flush makes durable all writes that were acknowledged before it; a FUA write is durable with its answer.
 * - A cut may keep any subset of the other writes. Of a write longer than one sector any subset of its sectors may
 *   survive: only a single sector is atomic, as of an NVMe namespace that promises nothing more.
 * - Discarded bytes read as zeros, and a discard is a write like any other: it may be lost.
 *
 * All choices come from the seed that the cut is given.
 */
import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import type { SeededRandom } from '@varve/storage-daemon/testing/seeded-random';

/** The unit in which what is not durable yet is kept for reading. */
const pageBytes = 4096;
/** A real cache is not endless either: beyond this, what it holds is written out at once. */
const cachedBytesMax = 64 * 2 ** 20;
/** How much of the cache a cut lets live: nothing, little, half, most. */
const survivalChances = [0, 0.1, 0.5, 0.9];
/** A write that does not survive whole survives in part this often. */
const tearChance = 0.3;

/** What to make a disk of. */
export interface VolatileDiskOptions {
  readonly file: string;
  readonly sizeBytes: number;
  /** What is atomic at a cut: the size of a logical block. */
  readonly sectorBytes: number;
}

/** What a cut did to the writes that were not durable. */
export interface CutReport {
  readonly kept: number;
  readonly torn: number;
  readonly lost: number;
}

interface CachedWrite {
  readonly offsetBytes: number;
  /** Undefined for zeros. */
  readonly bytes: Uint8Array | undefined;
  readonly lengthBytes: number;
  /** Written with FUA: a cut keeps it, in its place among the others. */
  readonly isDurable: boolean;
}

/** One disk. */
export class VolatileDisk {
  readonly file: string;
  readonly sizeBytes: number;
  readonly sectorBytes: number;
  /** What the host asked for since the disk was made. */
  readonly counts = { reads: 0, writes: 0, fuaWrites: 0, flushes: 0, discards: 0 };
  readonly #descriptor: number;
  /** Present content of what is not durable yet, by number of the page. */
  readonly #pages = new Map<number, Buffer>();
  #writes: CachedWrite[] = [];
  #cachedBytes = 0;
  #isLying = false;

  constructor(options: VolatileDiskOptions) {
    assert.equal(options.sizeBytes % pageBytes, 0, 'the size is in whole pages');
    this.file = options.file;
    this.sizeBytes = options.sizeBytes;
    this.sectorBytes = options.sectorBytes;
    this.#descriptor = openSync(options.file, 'w+');
    ftruncateSync(this.#descriptor, options.sizeBytes);
  }

  /** From now on it answers flushes and FUA writes and makes nothing durable; a cut loses all since then. */
  beginLying(): void {
    this.#writeOut();
    this.#isLying = true;
  }

  read(offsetBytes: number, lengthBytes: number): Buffer {
    this.#assertInside(offsetBytes, lengthBytes);
    this.counts.reads += 1;
    const bytes = Buffer.alloc(lengthBytes);
    this.#readDurable(bytes, offsetBytes);
    for (const part of pagesOf(offsetBytes, lengthBytes)) {
      const page = this.#pages.get(part.page);
      page?.copy(bytes, part.bufferOffset, part.pageOffset, part.pageOffset + part.lengthBytes);
    }
    return bytes;
  }

  /** Takes a write; undefined for `bytes` writes zeros. */
  write(
    offsetBytes: number,
    content: { readonly bytes?: Uint8Array; readonly lengthBytes: number },
    fua: boolean,
  ): void {
    const { bytes, lengthBytes } = content;
    this.#assertInside(offsetBytes, lengthBytes);
    this.counts.writes += 1;
    if (bytes === undefined) this.counts.discards += 1;
    const write = { offsetBytes, bytes, lengthBytes, isDurable: fua && !this.#isLying };
    for (const part of pagesOf(offsetBytes, lengthBytes)) {
      const page = this.#pageForWriting(part.page);
      const end = part.bufferOffset + part.lengthBytes;
      if (bytes === undefined) page.fill(0, part.pageOffset, part.pageOffset + part.lengthBytes);
      else page.set(bytes.subarray(part.bufferOffset, end), part.pageOffset);
    }
    if (fua) this.counts.fuaWrites += 1;
    this.#writes.push(write);
    this.#cachedBytes += bytes === undefined ? pageBytes : lengthBytes;
    if (this.#cachedBytes > cachedBytesMax && !this.#isLying) this.#writeOut();
  }

  flush(): void {
    this.counts.flushes += 1;
    if (!this.#isLying) this.#writeOut();
  }

  /** Loses power: afterwards the disk has what survived, and an empty cache. */
  cutPower(random: SeededRandom): CutReport {
    const survivalChance = this.#isLying ? 0 : random.pick(survivalChances);
    this.#isLying = false;
    const report = { kept: 0, torn: 0, lost: 0 };
    for (const write of this.#writes) {
      if (write.isDurable || random.chance(survivalChance)) {
        this.#makeDurable(write);
        report.kept += 1;
      } else if (survivalChance > 0 && random.chance(tearChance)) {
        this.#tear(write, random);
        report.torn += 1;
      } else {
        report.lost += 1;
      }
    }
    this.#forget();
    return report;
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #tear(write: CachedWrite, random: SeededRandom): void {
    const { offsetBytes, bytes, lengthBytes } = write;
    for (let start = 0; start < lengthBytes; start += this.sectorBytes) {
      if (!random.chance(0.5)) continue;
      const end = Math.min(lengthBytes, start + this.sectorBytes);
      this.#makeDurable({
        offsetBytes: offsetBytes + start,
        bytes: bytes?.subarray(start, end),
        lengthBytes: end - start,
      });
    }
  }

  #writeOut(): void {
    for (const [page, bytes] of this.#pages) {
      writeAll(this.#descriptor, bytes, page * pageBytes);
    }
    this.#forget();
  }

  #forget(): void {
    this.#pages.clear();
    this.#writes = [];
    this.#cachedBytes = 0;
  }

  #makeDurable({ offsetBytes, bytes, lengthBytes }: Omit<CachedWrite, 'isDurable'>): void {
    writeAll(this.#descriptor, bytes ?? Buffer.alloc(lengthBytes), offsetBytes);
  }

  #pageForWriting(page: number): Buffer {
    const cached = this.#pages.get(page);
    if (cached !== undefined) return cached;
    const bytes = Buffer.alloc(pageBytes);
    this.#readDurable(bytes, page * pageBytes);
    this.#pages.set(page, bytes);
    return bytes;
  }

  #readDurable(target: Buffer, offsetBytes: number): void {
    let done = 0;
    while (done < target.length) {
      const position = offsetBytes + done;
      const count = readSync(this.#descriptor, target, done, target.length - done, position);
      assert.ok(count > 0, `the file ends before ${position}`);
      done += count;
    }
  }

  #assertInside(offsetBytes: number, lengthBytes: number): void {
    assert.ok(
      offsetBytes >= 0 && lengthBytes > 0 && offsetBytes + lengthBytes <= this.sizeBytes,
      `${lengthBytes} bytes at ${offsetBytes} are inside the disk`,
    );
  }
}

interface PagePart {
  readonly page: number;
  readonly pageOffset: number;
  readonly bufferOffset: number;
  readonly lengthBytes: number;
}

function* pagesOf(offsetBytes: number, lengthBytes: number): Generator<PagePart> {
  let done = 0;
  while (done < lengthBytes) {
    const position = offsetBytes + done;
    const pageOffset = position % pageBytes;
    const part = Math.min(pageBytes - pageOffset, lengthBytes - done);
    const page = Math.floor(position / pageBytes);
    yield { page, pageOffset, bufferOffset: done, lengthBytes: part };
    done += part;
  }
}

function writeAll(descriptor: number, bytes: Uint8Array, offsetBytes: number): void {
  let done = 0;
  while (done < bytes.length) {
    done += writeSync(descriptor, bytes, done, bytes.length - done, offsetBytes + done);
  }
}
