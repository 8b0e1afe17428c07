/** Byte strings of any length: attributes, directories of dead lists, the free queue. */
import { viewOf } from '../../format/byte-fields.ts';
import { checkFormat } from '../../format/corruption-error.ts';
import {
  decodePointer,
  type MetadataPointer,
  metadataPointerBytes,
} from '../../format/metadata-pointer.ts';
import {
  decodeStreamPage,
  streamLevelOf,
  type StreamOwner,
  streamPageBytes,
  streamPagePointers,
} from '../../format/stream-page.ts';
import type { PoolReader } from './pool-reader.ts';

/** Greatest height: 338 ^ 4 pages of bytes are 53 TB, more than a pool has. */
const levelMax = 4;

/** A stream and the pages that it lies in. */
export interface Stream {
  readonly bytes: Uint8Array;
  readonly pbns: readonly number[];
}

/**
 * Reads all of a stream; a null pointer is an empty one.
 *
 * @throws CorruptionError
 */
export async function readStream(
  reader: PoolReader,
  pointer: MetadataPointer,
  owner: StreamOwner,
): Promise<Stream> {
  const pbns: number[] = [];
  const parts: Uint8Array[] = [];
  if (pointer.pbn !== 0) {
    const level = streamLevelOf(await reader.readPage(pointer));
    checkFormat(level <= levelMax, 'range', () => `a stream of ${level} levels`, 3);
    await readLevel([pointer], level);
  }
  return { bytes: new Uint8Array(Buffer.concat(parts)), pbns };

  async function readLevel(pointers: readonly MetadataPointer[], level: number): Promise<void> {
    const below: MetadataPointer[] = [];
    await reader.fetchAhead(pointers.map(({ pbn }) => pbn));
    for (const [index, each] of pointers.entries()) {
      const payload = decodeStreamPage(await reader.readPage(each), { ...owner, level, index });
      const isLast = index === pointers.length - 1;
      checkFormat(
        isLast || payload.length === (level === 0 ? streamPageBytes : fullPointerBytes),
        'range',
        () => `page ${index} of a stream is not full`,
        24,
      );
      checkFormat(each.birth === 0, 'range', () => `a stream page of birth ${each.birth}`, 0);
      pbns.push(each.pbn);
      if (level === 0) parts.push(payload);
      else below.push(...decodePointers(payload));
    }
    if (level > 0) await readLevel(below, level - 1);
  }
}

const fullPointerBytes = streamPagePointers * metadataPointerBytes;

function decodePointers(payload: Uint8Array): MetadataPointer[] {
  checkFormat(
    payload.length % metadataPointerBytes === 0,
    'range',
    () => `${payload.length} bytes are not pointers`,
    24,
  );
  const view = viewOf(payload);
  return Array.from({ length: payload.length / metadataPointerBytes }, (_, index) => {
    const pointer = decodePointer(view, index * metadataPointerBytes);
    checkFormat(pointer.pbn !== 0, 'range', () => `pointer ${index} of a stream is null`, 32);
    return pointer;
  });
}
