/** What a claim and its class ask for, judged without looking at the source: can Varve make such a volume at all? */
import { parseStorageClassParameters } from '@varve/contract/kubernetes/class-parameters';
import { roundUpSizeBytes } from '@varve/contract/identifier';
import { isProblemError } from '@varve/contract/problem';
import type { PersistentVolumeClaim, StorageClass } from '../../kube/core-kinds.ts';
import { parseQuantityBytes } from '../shared/quantity.ts';

/** A claim in terms of the daemon. */
export interface VolumeDemand {
  /** As the daemon will make it: rounded up. */
  readonly sizeBytes: number;
  readonly isBlock: boolean;
  readonly fsType: 'ext4' | 'xfs';
  /** Only this StorageDaemon, or pools of this name, may be used. */
  readonly daemon: string | undefined;
  readonly pool: string | undefined;
}

const accessModesAllowed: readonly string[] = ['ReadWriteOnce', 'ReadWriteOncePod'];
/** mkfs.xfs refuses anything smaller. */
const xfsSizeBytesMin = 300 * 1024 * 1024;

/** Reads the demand of a claim, or says in a sentence why there can be no such volume. */
export function readDemand(
  claim: PersistentVolumeClaim,
  storageClass: StorageClass,
): VolumeDemand | string {
  const { spec } = claim;
  if (spec.selector !== undefined && spec.selector !== null)
    return 'claim Selector is not supported';
  if ((spec.volumeAttributesClassName ?? '') !== '') {
    return `volumeAttributesClassName "${spec.volumeAttributesClassName}" is not supported`;
  }
  const refused = (spec.accessModes ?? []).find((mode) => !accessModesAllowed.includes(mode));
  if (refused !== undefined) {
    return `access mode ${refused} is not supported: use ${accessModesAllowed.join(' or ')}`;
  }
  const requested = spec.resources?.requests?.storage ?? '';
  const sizeBytes = parseQuantityBytes(requested);
  if (sizeBytes === undefined || sizeBytes === 0) {
    return `requested storage "${requested}" is not a size of a volume`;
  }
  return readClass(claim, storageClass, roundUpSizeBytes(sizeBytes));
}

function readClass(
  claim: PersistentVolumeClaim,
  storageClass: StorageClass,
  sizeBytes: number,
): VolumeDemand | string {
  const isBlock = claim.spec.volumeMode === 'Block';
  try {
    const { fsType = 'ext4', daemon, pool } = parseStorageClassParameters(storageClass.parameters);
    if (fsType === 'xfs' && !isBlock && sizeBytes < xfsSizeBytesMin) {
      return 'an xfs file system needs at least 300Mi: ask for more, or use a class with ext4';
    }
    return { sizeBytes, isBlock, fsType, daemon, pool };
  } catch (error) {
    if (isProblemError(error))
      return `StorageClass ${storageClass.metadata.name}: ${error.message}`;
    throw error;
  }
}
