/** The daemon's memory of what was made of a volume: blank, formatting, ready. */
import type { Filesystem } from '@varve/contract/filesystem';
import type { FilesystemType } from '../system/node-system.ts';

/** Asks and tells one daemon. */
export interface FilesystemLedger {
  read(volume: string): Promise<Filesystem>;
  write(volume: string, state: 'formatting' | 'ready', type: FilesystemType): Promise<void>;
}

/** The ledger of the daemon at an endpoint. */
export type FilesystemLedgers = (daemonEndpoint: string) => FilesystemLedger;
