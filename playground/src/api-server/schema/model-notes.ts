/**
 * What Kubernetes' Go types say by tags, and the generated models lost: how lists are merged by a strategic
 * merge patch (`x-kubernetes-patch-*`) and by server-side apply (`x-kubernetes-list-*`), and which maps hold
 * quantities.
 */
import type { Schema } from './schema.ts';

function mergedBy(...keys: readonly [string, ...string[]]): Schema {
  return {
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': keys,
    'x-kubernetes-patch-strategy': 'merge',
    'x-kubernetes-patch-merge-key': keys[0],
  };
}

const mergedSet: Schema = {
  'x-kubernetes-list-type': 'set',
  'x-kubernetes-patch-strategy': 'merge',
};
const atomicList: Schema = { 'x-kubernetes-list-type': 'atomic' };
const atomicMap: Schema = { 'x-kubernetes-map-type': 'atomic' };

const notes: Readonly<Record<string, Schema>> = {
  'V1ObjectMeta.finalizers': mergedSet,
  'V1ObjectMeta.ownerReferences': mergedBy('uid'),
  'V1ObjectMeta.managedFields': atomicList,
  'V1NamespaceStatus.conditions': mergedBy('type'),
  'V1PersistentVolumeClaimStatus.conditions': mergedBy('type'),
  'V1PersistentVolumeClaimStatus.allocatedResourceStatuses': {
    'x-kubernetes-map-type': 'granular',
  },
  'V1PersistentVolumeClaimSpec.accessModes': atomicList,
  'V1PersistentVolumeSpec.accessModes': atomicList,
  'V1PersistentVolumeSpec.claimRef': { 'x-kubernetes-map-type': 'granular' },
  'CoreV1Event.eventTime': { nullable: true },
  'EventsV1Event.eventTime': { nullable: true },
  'V1PersistentVolumeSpec.mountOptions': atomicList,
  'V1PodSpec.containers': mergedBy('name'),
  'V1PodSpec.initContainers': mergedBy('name'),
  'V1PodSpec.ephemeralContainers': mergedBy('name'),
  'V1PodSpec.volumes': { ...mergedBy('name'), 'x-kubernetes-patch-strategy': 'merge,retainKeys' },
  'V1PodSpec.imagePullSecrets': mergedBy('name'),
  'V1PodSpec.hostAliases': mergedBy('ip'),
  'V1PodSpec.topologySpreadConstraints': {
    ...mergedBy('topologyKey'),
    'x-kubernetes-list-map-keys': ['topologyKey', 'whenUnsatisfiable'],
  },
  'V1PodSpec.resourceClaims': {
    ...mergedBy('name'),
    'x-kubernetes-patch-strategy': 'merge,retainKeys',
  },
  'V1PodSpec.schedulingGates': mergedBy('name'),
  'V1PodSpec.tolerations': atomicList,
  'V1PodSpec.nodeSelector': atomicMap,
  'V1PodStatus.conditions': mergedBy('type'),
  'V1PodStatus.podIPs': mergedBy('ip'),
  'V1PodStatus.hostIPs': { ...mergedBy('ip'), ...atomicList },
  'V1Container.env': mergedBy('name'),
  'V1Container.ports': {
    ...mergedBy('containerPort'),
    'x-kubernetes-list-map-keys': ['containerPort', 'protocol'],
  },
  'V1Container.volumeMounts': mergedBy('mountPath'),
  'V1Container.volumeDevices': mergedBy('devicePath'),
  'V1EphemeralContainer.env': mergedBy('name'),
  'V1EphemeralContainer.volumeMounts': mergedBy('mountPath'),
  'V1NodeStatus.conditions': mergedBy('type'),
  'V1NodeStatus.addresses': mergedBy('type'),
  'V1NodeSpec.podCIDRs': mergedSet,
  'V1NodeSpec.taints': atomicList,
  'V1ServiceAccount.secrets': mergedBy('name'),
  'V1ServiceAccount.imagePullSecrets': { ...mergedBy('name'), ...atomicList },
  'V1TypedLocalObjectReference.apiGroup': { nullable: true },
  'V1TypedObjectReference.apiGroup': { nullable: true },
  'V1CSIDriverSpec.volumeLifecycleModes': { 'x-kubernetes-list-type': 'set' },
  'V1CSIDriverSpec.tokenRequests': atomicList,
  'V1CSINodeSpec.drivers': mergedBy('name'),
  'V1StorageClass.allowedTopologies': atomicList,
  'V1CustomResourceDefinitionStatus.conditions': {
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['type'],
  },
};

const atomicModels: ReadonlySet<string> = new Set([
  'V1LabelSelector',
  'V1LocalObjectReference',
  'V1NodeSelector',
  'V1NodeSelectorTerm',
  'V1ObjectFieldSelector',
  'V1ObjectReference',
  'V1OwnerReference',
  'V1SecretReference',
  'V1TypedLocalObjectReference',
]);

const quantityMaps: ReadonlySet<string> = new Set([
  'V1PersistentVolumeSpec.capacity',
  'V1PersistentVolumeClaimStatus.capacity',
  'V1PersistentVolumeClaimStatus.allocatedResources',
  'V1VolumeResourceRequirements.requests',
  'V1VolumeResourceRequirements.limits',
  'V1ResourceRequirements.requests',
  'V1ResourceRequirements.limits',
  'V1PodSpec.overhead',
  'V1NodeStatus.capacity',
  'V1NodeStatus.allocatable',
]);

/** How the member is merged, as schema extensions; {} where nothing special holds. */
export function mergeNotes(model: string, member: string): Schema {
  return notes[`${model}.${member}`] ?? {};
}

/** Whether server-side apply treats an object of the model as one value. */
export function isAtomicModel(model: string): boolean {
  return atomicModels.has(model);
}

/** Whether the member maps names to quantities, which may also be written as numbers. */
export function isQuantityMap(model: string, member: string): boolean {
  return quantityMaps.has(`${model}.${member}`);
}
