import type {
  ConfigMap,
  CoreEvent,
  CsiNode,
  CustomResourceDefinition,
  Lease,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  Secret,
  StorageClass,
  VolumeAttachment,
} from './core-kinds.ts';
import type { KubernetesObject, ObjectName } from './kubernetes-object.ts';
import type { StorageDaemon } from './storage-daemon-kind.ts';
import type {
  VolumeSnapshot,
  VolumeSnapshotClass,
  VolumeSnapshotContent,
} from './snapshot-kinds.ts';
import type { VolumeRevert } from './volume-revert-kind.ts';

declare const objectType: unique symbol;

/**
 * A kind of object as the API server addresses it. The type parameter says what its objects look like, so
 * that `client.get(persistentVolumes, ...)` answers a PersistentVolume.
 */
export interface Resource<T extends KubernetesObject = KubernetesObject> {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly isNamespaced: boolean;
  /**
   * Whether clusters may lack the kind: a definition that nobody installed, a feature that is switched off. Watching
   * it does not hold up the start then: there are no objects until the kind is served.
   */
  readonly isOptional?: boolean;
  readonly [objectType]?: T;
}

/** `apiVersion` of the resource's objects. */
export function apiVersionOf(resource: Resource): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
}

/** The name of a resource in metrics and messages: `volumesnapshots.snapshot.storage.k8s.io`. */
export function resourceName(resource: Resource): string {
  return resource.group === '' ? resource.plural : `${resource.plural}.${resource.group}`;
}

/** The path of the resource's collection, in one namespace or in all. */
export function collectionPath(resource: Resource, namespace?: string): string {
  const root = resource.group === '' ? '/api' : `/apis/${resource.group}`;
  const scope = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  return `${root}/${resource.version}${scope}/${resource.plural}`;
}

/** The path of one object, or of a subresource of it. */
export function objectPath(resource: Resource, name: ObjectName, subresource?: 'status'): string {
  const suffix = subresource === undefined ? '' : `/${subresource}`;
  return `${collectionPath(resource, name.namespace)}/${encodeURIComponent(name.name)}${suffix}`;
}

interface Scope {
  readonly group: string;
  readonly version: string;
  readonly isNamespaced: boolean;
  readonly isOptional?: boolean;
}

const core = { group: '', version: 'v1' };
const storage = { group: 'storage.k8s.io', version: 'v1' };
const snapshot = { group: 'snapshot.storage.k8s.io', version: 'v1' };

function describe<T extends KubernetesObject>(
  kind: string,
  plural: string,
  scope: Scope,
): Resource<T> {
  return { ...scope, kind, plural };
}

/** core/v1 persistentvolumeclaims. */
export const persistentVolumeClaims = describe<PersistentVolumeClaim>(
  'PersistentVolumeClaim',
  'persistentvolumeclaims',
  { ...core, isNamespaced: true },
);

/** core/v1 persistentvolumes. */
export const persistentVolumes = describe<PersistentVolume>(
  'PersistentVolume',
  'persistentvolumes',
  { ...core, isNamespaced: false },
);

/** core/v1 pods. */
export const pods = describe<Pod>('Pod', 'pods', { ...core, isNamespaced: true });

/** core/v1 configmaps. */
export const configMaps = describe<ConfigMap>('ConfigMap', 'configmaps', {
  ...core,
  isNamespaced: true,
});

/** core/v1 secrets. */
export const secrets = describe<Secret>('Secret', 'secrets', { ...core, isNamespaced: true });

/** core/v1 events. */
export const coreEvents = describe<CoreEvent>('Event', 'events', { ...core, isNamespaced: true });

/** storage.k8s.io/v1 storageclasses. */
export const storageClasses = describe<StorageClass>('StorageClass', 'storageclasses', {
  ...storage,
  isNamespaced: false,
});

/** storage.k8s.io/v1 volumeattachments. */
export const volumeAttachments = describe<VolumeAttachment>(
  'VolumeAttachment',
  'volumeattachments',
  { ...storage, isNamespaced: false },
);

/** storage.k8s.io/v1 csinodes. */
export const csiNodes = describe<CsiNode>('CSINode', 'csinodes', {
  ...storage,
  isNamespaced: false,
});

/** snapshot.storage.k8s.io/v1 volumesnapshots. */
export const volumeSnapshots = describe<VolumeSnapshot>('VolumeSnapshot', 'volumesnapshots', {
  ...snapshot,
  isNamespaced: true,
});

/** snapshot.storage.k8s.io/v1 volumesnapshotcontents. */
export const volumeSnapshotContents = describe<VolumeSnapshotContent>(
  'VolumeSnapshotContent',
  'volumesnapshotcontents',
  { ...snapshot, isNamespaced: false },
);

/** snapshot.storage.k8s.io/v1 volumesnapshotclasses. */
export const volumeSnapshotClasses = describe<VolumeSnapshotClass>(
  'VolumeSnapshotClass',
  'volumesnapshotclasses',
  { ...snapshot, isNamespaced: false },
);

/** coordination.k8s.io/v1 leases. */
export const leases = describe<Lease>('Lease', 'leases', {
  group: 'coordination.k8s.io',
  version: 'v1',
  isNamespaced: true,
});

/** apiextensions.k8s.io/v1 customresourcedefinitions. */
export const customResourceDefinitions = describe<CustomResourceDefinition>(
  'CustomResourceDefinition',
  'customresourcedefinitions',
  { group: 'apiextensions.k8s.io', version: 'v1', isNamespaced: false },
);

/** varve.dev/v1alpha1 storagedaemons. */
export const storageDaemons = describe<StorageDaemon>('StorageDaemon', 'storagedaemons', {
  group: 'varve.dev',
  version: 'v1alpha1',
  isNamespaced: false,
});

/** varve.dev/v1alpha1 volumereverts. */
export const volumeReverts = describe<VolumeRevert>('VolumeRevert', 'volumereverts', {
  group: 'varve.dev',
  version: 'v1alpha1',
  isNamespaced: true,
});
