/** What a load is run against: an NBD export or a file through fio. */
import type { GroupContext } from '../harness/row.ts';
import { type FioLoad, type FioTarget, runFio } from '../load/fio.ts';
import { figureOf, fillLoad } from '../load/loads.ts';
import type { BlockServer } from './block-server.ts';
import { createRawFile } from './peers.ts';

/** One side of rows, filled and ready. */
export interface LoadTarget {
  /** Its figure under a load. */
  measure(load: FioLoad): Promise<number>;
  close(): Promise<void>;
}

/** fio over NBD. The server ends with the target. */
export function openNbdTarget(server: BlockServer, context: GroupContext): Promise<LoadTarget> {
  return openFioTarget({ uri: server.uri }, context, () => server.close());
}

/** fio on a file, without any server: what the memory and the kernel give. */
export function openFileTarget(context: GroupContext): Promise<LoadTarget> {
  const file = createRawFile(context, 'fio');
  return openFioTarget({ file }, context, async () => undefined);
}

async function openFioTarget(
  place: Pick<FioTarget, 'uri' | 'file'>,
  context: GroupContext,
  close: () => Promise<void>,
): Promise<LoadTarget> {
  const { dataBytes: sizeBytes, sampleSeconds: seconds, printCommand } = context;
  try {
    await runFio(fillLoad, { ...place, sizeBytes }, printCommand);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    measure: async (load) => {
      const result = await runFio(load, { ...place, sizeBytes, seconds }, printCommand);
      return figureOf(load, result);
    },
    close,
  };
}
