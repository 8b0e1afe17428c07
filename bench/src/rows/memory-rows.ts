/** Memory that the maps of volumes take, on a device that stores metadata and drops data. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { z } from 'zod';

import type { GroupContext, Sample } from '../harness/row.ts';
import { singleRow } from '../harness/single-row.ts';
import { loadCore, pinned } from '../servers/server-process.ts';

const program = fileURLToPath(
  import.meta.resolve('@varve/storage-daemon/testing/restart/mapped-memory-main'),
);
/** Enough that pages of tables, one for many leaves, count as they do in a TiB. */
const mappedGib = 128;
const limitMib = 300;
const outputSchema = z.object({ residentMibPerTib: z.number() });

/** Memory for a TiB that is mapped in whole clusters, against what is allowed. */
export const memoryRow = singleRow(
  {
    name: 'map-memory/one-tib-unsplit/limit',
    question: `memory of maps for each TiB, measured with ${mappedGib} GiB written in a row`,
    unit: 'MiB',
    better: 'lower',
    isQuick: false,
    programs: ['taskset'],
    bound: { of: 'ours', limit: limitMib },
  },
  async (context) => ({ sample: () => measure(context), close: async () => undefined }),
);

async function measure({ printCommand }: GroupContext): Promise<Sample> {
  const command = [process.execPath, '--expose-gc', program, `${mappedGib}`];
  const [file, ...args] = pinned(loadCore, command);
  printCommand([file, ...args].join(' '));
  const { stdout } = await promisify(execFile)(file!, args);
  const { residentMibPerTib } = outputSchema.parse(JSON.parse(stdout));
  return { ours: residentMibPerTib, peer: limitMib };
}
