/** The PersistentVolume of a claim: exactly what the claim asks for, so that kube's volume controller binds the two. */
import type { Volume } from '@varve/contract/volume';
import type {
  PersistentVolume,
  PersistentVolumeClaim,
  StorageClass,
} from '../../kube/core-kinds.ts';
import { referenceTo, type Draft } from '../../kube/kubernetes-object.ts';
import { annotations, finalizers } from '../shared/protocol-names.ts';
import { formatQuantityBytes } from '../shared/quantity.ts';
import { formatHandle } from '../shared/storage-handle.ts';
import type { VolumeDemand } from './claim-check.ts';
import { volumeName } from './names.ts';

/** What the PersistentVolume of a claim is drafted from. */
export interface VolumeOrigin {
  readonly driverName: string;
  /** Names this process in the volume's attributes, as the protocol wants it. */
  readonly provisionerIdentity: string;
  readonly storageClass: StorageClass;
  readonly demand: VolumeDemand;
  readonly daemon: string;
  /** The volume as the daemon has it. */
  readonly volume: Volume;
  /** What its content came from. */
  readonly sourceTitle: string | undefined;
}

/** Drafts the PersistentVolume. */
export function draftVolume(
  claim: PersistentVolumeClaim,
  origin: VolumeOrigin,
): Draft<PersistentVolume> {
  const { storageClass, demand, volume } = origin;
  const { accessModes, volumeMode } = claim.spec;
  const { mountOptions = [] } = storageClass;
  // A volume with data keeps the file system of its source, whatever the class says.
  const fsType = volume.filesystem.type ?? demand.fsType;
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: {
      name: volumeName(claim.metadata.uid),
      annotations: {
        [annotations.volumeProvisionedBy]: origin.driverName,
        [annotations.volumeDeletionSecretName]: '',
        [annotations.volumeDeletionSecretNamespace]: '',
        ...(origin.sourceTitle !== undefined && { [annotations.volumeSource]: origin.sourceTitle }),
      },
      finalizers: [finalizers.volumeProvisioned],
    },
    spec: {
      ...(accessModes !== undefined && { accessModes }),
      capacity: { storage: formatQuantityBytes(volume.sizeBytes) },
      claimRef: referenceTo({ ...claim, apiVersion: 'v1', kind: 'PersistentVolumeClaim' }),
      csi: {
        driver: origin.driverName,
        volumeHandle: formatHandle({ daemon: origin.daemon, id: volume.id }),
        ...(!demand.isBlock && { fsType }),
        volumeAttributes: {
          'storage.kubernetes.io/csiProvisionerIdentity': origin.provisionerIdentity,
        },
      },
      ...(mountOptions.length > 0 && { mountOptions }),
      persistentVolumeReclaimPolicy: storageClass.reclaimPolicy ?? 'Delete',
      storageClassName: storageClass.metadata.name,
      ...(volumeMode !== undefined && { volumeMode }),
    },
  };
}
