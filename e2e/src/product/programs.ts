/** Where the programs that are tested lie: compiled, as they are installed. */
import { join } from 'node:path';

const repository = join(import.meta.dirname, '../../..');

/** The main modules, for the pinned Node.js. */
export const programs = {
  storageDaemon: join(repository, 'storage-daemon/dist/main.js'),
  /** The node plugin's services on a machine in memory, for csi-sanity. */
  sanityPlugin: join(repository, 'node-plugin/dist/testing/sanity-main.js'),
  operator: join(repository, 'operator/dist/main.js'),
} as const;
