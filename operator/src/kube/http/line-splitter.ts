import { ApiError } from '../api-errors.ts';

/** Objects are at most 1.5 MiB in etcd; in JSON, with managed fields, an event stays below this. */
const lineBytesMax = 16 * 1024 * 1024;
const newline = 0x0a;

/** Cuts a stream of bytes into lines. Works on bytes: a chunk may end within a character. */
export class LineSplitter {
  #rest: Buffer[] = [];
  #restBytes = 0;

  /** Whether the stream, if it ended now, would end within a line. */
  get hasRest(): boolean {
    return this.#restBytes > 0;
  }

  /** The lines that the chunk completes, empty ones left out. */
  push(chunk: Uint8Array): readonly string[] {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const lines: string[] = [];
    let start = 0;
    for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, start)) {
      this.#keep(bytes.subarray(start, end));
      const line = Buffer.concat(this.#rest).toString('utf8').trim();
      if (line !== '') lines.push(line);
      this.#rest = [];
      this.#restBytes = 0;
      start = end + 1;
    }
    this.#keep(bytes.subarray(start));
    return lines;
  }

  #keep(part: Buffer): void {
    if (part.length === 0) return;
    this.#restBytes += part.length;
    if (this.#restBytes > lineBytesMax) {
      throw new ApiError(
        `Reading a watch failed: a line is longer than ${lineBytesMax} bytes, which no event is`,
        { kind: 'malformed' },
      );
    }
    this.#rest.push(part);
  }
}
