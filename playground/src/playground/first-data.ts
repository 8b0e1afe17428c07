/** The data of the page's claim: written through NBD, so that there is something to snapshot. */
import { NbdClient } from '../nbd-client/nbd-client.ts';
import { patternBytes } from './pattern.ts';

const greeting = `These bytes were written over NBD when the playground started for the first time.
Take a snapshot of this volume, overwrite them, restore the snapshot, and read them again.
`;

/** How much of the volume is filled; the rest stays unwritten and takes no space. */
const filledBytes = 16 * 1024 * 1024;

/** Writes a greeting in plain text at the start of an export, and a pattern behind it, durably. */
export async function fillClaim(nbdSocket: string, exportName: string): Promise<void> {
  const client = await NbdClient.open(nbdSocket, exportName);
  try {
    const bytes = patternBytes('first data', filledBytes);
    bytes.fill(0, 0, 4096);
    bytes.write(greeting, 0);
    await client.write(0, bytes);
    await client.flush();
  } finally {
    await client.close();
  }
}
