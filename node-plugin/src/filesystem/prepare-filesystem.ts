/**
 * Makes sure that a device holds the file system that is asked for.
 *
 * The order is what makes a crash harmless: `formatting` is durable at the daemon before mkfs writes its first
 * block, and `ready` after its last. A crash in between finds `formatting` and formats again; nothing was ever
 * mounted then.
 */
import { ProblemError } from '@varve/contract/problem';
import type { FilesystemSystem, FilesystemType } from '../system/node-system.ts';
import { decideFormat } from './decide-format.ts';
import type { FilesystemLedger } from './filesystem-ledger.ts';

/** What to prepare. */
export interface PrepareRequest {
  /** The volume's id at its daemon. */
  readonly volume: string;
  readonly device: string;
  readonly type: FilesystemType;
  readonly isReadOnly: boolean;
}

/** Formats or checks an unmounted device. */
export async function prepareFilesystem(
  request: PrepareRequest,
  { system, ledger }: { readonly system: FilesystemSystem; readonly ledger: FilesystemLedger },
): Promise<void> {
  const { volume, device, type, isReadOnly } = request;
  const recorded = await ledger.read(volume);
  const probe = await system.probeDevice(device);
  const decision = decideFormat({ recorded, probe, wanted: type, isReadOnly });
  switch (decision.kind) {
    case 'refuse':
      throw new ProblemError(
        'failed-precondition',
        `Mounting ${volume} from ${device} failed: ${decision.why}. Nothing was changed`,
      );
    case 'use':
      if (!isReadOnly) await system.checkFilesystem({ device, type });
      return;
    case 'format':
      await ledger.write(volume, 'formatting', type);
      await system.makeFilesystem({ device, type });
      await ledger.write(volume, 'ready', type);
  }
}
