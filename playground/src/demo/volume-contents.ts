/** Compares and changes the bytes of volumes and snapshots, over NBD. */
import { createHash } from 'node:crypto';
import { NbdClient } from '../nbd-client/nbd-client.ts';
import { patternBytes } from '../playground/pattern.ts';

const pieceBytes = 8 * 1024 * 1024;

/** A part of a volume that is written with the pattern of a name. */
export interface Stroke {
  readonly pattern: string;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** Writes the strokes to an export, durably. */
export async function paint(
  nbdSocket: string,
  exportName: string,
  strokes: readonly Stroke[],
): Promise<void> {
  const client = await NbdClient.open(nbdSocket, exportName);
  try {
    for (const { pattern, offsetBytes, lengthBytes } of strokes) {
      await client.write(offsetBytes, patternBytes(pattern, lengthBytes));
    }
    await client.flush();
  } finally {
    await client.close();
  }
}

/** The SHA-256 of all bytes of an export. */
export async function fingerprint(nbdSocket: string, exportName: string): Promise<string> {
  const client = await NbdClient.open(nbdSocket, exportName);
  try {
    const hash = createHash('sha256');
    for (let offset = 0; offset < client.sizeBytes; offset += pieceBytes) {
      hash.update(await client.read(offset, Math.min(pieceBytes, client.sizeBytes - offset)));
    }
    return hash.digest('hex');
  } finally {
    await client.close();
  }
}
