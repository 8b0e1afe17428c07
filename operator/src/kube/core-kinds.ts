import type { Condition, KubernetesObject, ObjectReference } from './kubernetes-object.ts';

/** A quantity as it travels: usually a string ("256Mi"), sometimes a JSON number. */
export type Quantity = string | number;

/** Volume access modes of PersistentVolumeClaims and PersistentVolumes. */
export type AccessMode =
  'ReadWriteOnce' | 'ReadOnlyMany' | 'ReadWriteMany' | 'ReadWriteOncePod' | (string & {});

/** How a volume appears in a pod. */
export type VolumeMode = 'Filesystem' | 'Block' | (string & {});

/** `spec.dataSource` and `spec.dataSourceRef` of a claim; only the latter may carry a namespace. */
export interface ClaimDataSource {
  readonly apiGroup?: string | null;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
}

/** core/v1 PersistentVolumeClaim. */
export interface PersistentVolumeClaim extends KubernetesObject {
  readonly spec: {
    readonly accessModes?: readonly AccessMode[];
    readonly storageClassName?: string;
    readonly volumeMode?: VolumeMode;
    readonly volumeName?: string;
    readonly selector?: unknown;
    readonly resources?: { readonly requests?: { readonly storage?: Quantity } };
    readonly dataSource?: ClaimDataSource;
    readonly dataSourceRef?: ClaimDataSource;
    readonly volumeAttributesClassName?: string;
  };
  readonly status?: {
    readonly phase?: 'Pending' | 'Bound' | 'Lost';
    readonly capacity?: { readonly storage?: Quantity };
    readonly accessModes?: readonly AccessMode[];
    readonly conditions?: readonly Condition[];
    readonly allocatedResources?: { readonly storage?: Quantity };
    readonly allocatedResourceStatuses?: { readonly storage?: string };
  };
}

/** `spec.csi` of a PersistentVolume; immutable after creation. */
export interface CsiVolumeSource {
  readonly driver: string;
  readonly volumeHandle: string;
  readonly fsType?: string;
  readonly readOnly?: boolean;
  readonly volumeAttributes?: Readonly<Record<string, string>>;
}

/** core/v1 PersistentVolume. */
export interface PersistentVolume extends KubernetesObject {
  readonly spec: {
    readonly accessModes?: readonly AccessMode[];
    readonly capacity?: { readonly storage?: Quantity };
    readonly claimRef?: ObjectReference;
    readonly csi?: CsiVolumeSource;
    readonly storageClassName?: string;
    readonly volumeMode?: VolumeMode;
    readonly persistentVolumeReclaimPolicy?: 'Delete' | 'Retain' | 'Recycle';
    readonly mountOptions?: readonly string[];
    readonly nodeAffinity?: unknown;
    readonly volumeAttributesClassName?: string;
  };
  readonly status?: {
    readonly phase?: 'Pending' | 'Available' | 'Bound' | 'Released' | 'Failed';
    readonly message?: string;
    readonly reason?: string;
  };
}

/** storage.k8s.io/v1 StorageClass: no spec, its fields stand at the top. */
export interface StorageClass extends KubernetesObject {
  readonly provisioner: string;
  readonly parameters?: Readonly<Record<string, string>>;
  readonly reclaimPolicy?: 'Delete' | 'Retain';
  readonly volumeBindingMode?: 'Immediate' | 'WaitForFirstConsumer';
  readonly allowVolumeExpansion?: boolean;
  readonly mountOptions?: readonly string[];
}

/** Why attaching or detaching failed last. */
export interface VolumeError {
  readonly time?: string;
  readonly message?: string;
}

/** storage.k8s.io/v1 VolumeAttachment: which node holds which volume. */
export interface VolumeAttachment extends KubernetesObject {
  readonly spec: {
    readonly attacher: string;
    readonly nodeName: string;
    readonly source: { readonly persistentVolumeName?: string };
  };
  readonly status?: {
    readonly attached: boolean;
    /** What kubelet hands to the node plugin. */
    readonly attachmentMetadata?: Readonly<Record<string, string>>;
    readonly attachError?: VolumeError;
    readonly detachError?: VolumeError;
  };
}

/** storage.k8s.io/v1 CSINode: which drivers run on a node. It is owned by its Node. */
export interface CsiNode extends KubernetesObject {
  readonly spec: {
    readonly drivers: readonly { readonly name: string; readonly nodeID: string }[];
  };
}

/** core/v1 Pod, as far as the operator looks into it. */
export interface Pod extends KubernetesObject {
  readonly spec: { readonly containers: readonly { readonly image?: string }[] };
  readonly status?: { readonly phase?: string };
}

/** core/v1 ConfigMap. */
export interface ConfigMap extends KubernetesObject {
  readonly data?: Readonly<Record<string, string>>;
}

/** core/v1 Secret; the values are base64. Never logged, never returned. */
export interface Secret extends KubernetesObject {
  readonly type?: string;
  readonly data?: Readonly<Record<string, string>>;
}

/** core/v1 Event: the form that kubectl's describe finds by `involvedObject.uid`. */
export interface CoreEvent extends KubernetesObject {
  readonly involvedObject: ObjectReference;
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
  readonly source?: { readonly component?: string; readonly host?: string };
  readonly reportingComponent?: string;
  readonly reportingInstance?: string;
  readonly firstTimestamp?: string | null;
  readonly lastTimestamp?: string | null;
  readonly eventTime?: string | null;
  readonly action?: string;
  readonly count?: number;
}

/** coordination.k8s.io/v1 Lease. */
export interface Lease extends KubernetesObject {
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

/** apiextensions.k8s.io/v1 CustomResourceDefinition, as far as the operator looks into it. */
export interface CustomResourceDefinition extends KubernetesObject {
  readonly spec: {
    readonly group: string;
    readonly names: { readonly plural: string; readonly kind: string };
    readonly scope: 'Namespaced' | 'Cluster';
    readonly versions: readonly {
      readonly name: string;
      readonly served: boolean;
      readonly storage: boolean;
      readonly schema?: { readonly openAPIV3Schema?: unknown };
    }[];
  };
  readonly status?: { readonly conditions?: readonly Condition[] };
}
