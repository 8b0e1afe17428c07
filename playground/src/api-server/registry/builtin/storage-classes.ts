/** The kinds of storage.k8s.io: StorageClass, CSIDriver, CSINode, VolumeAttachment. */
import type { FieldError } from '../../objects/api-error.ts';
import { annotationOf, type ApiObject } from '../../objects/api-object.ts';
import { immutable, notSupported, required } from '../../objects/field-errors.ts';
import {
  asList,
  asObject,
  equalJson,
  readPath,
  type MutableJsonObject,
  textOf,
} from '../../objects/json.ts';
import { nameColumn, textColumn } from '../columns.ts';
import type { ClusterView, DraftObject, PrinterColumn } from '../resource-definition.ts';
import { textAt, type BuiltInKind } from './built-in-resource.ts';

const group = 'storage.k8s.io';
const defaultClassAnnotations = [
  'storageclass.kubernetes.io/is-default-class',
  'storageclass.beta.kubernetes.io/is-default-class',
];

/** Whether claims without a class get this one. */
function isDefaultClass(object: ApiObject): boolean {
  return defaultClassAnnotations.some((name) => annotationOf(object, name) === 'true');
}

/** The default class; the newest of several, by name among equally new ones, as the admission plugin chooses. */
export function defaultClassOf(cluster: ClusterView): ApiObject | undefined {
  return cluster
    .list(`storageclasses.${group}`)
    .filter((each) => isDefaultClass(each))
    .toSorted((left, right) =>
      left.metadata.creationTimestamp === right.metadata.creationTimestamp
        ? left.metadata.name.localeCompare(right.metadata.name)
        : right.metadata.creationTimestamp.localeCompare(left.metadata.creationTimestamp),
    )[0];
}

function prepareClass(draft: DraftObject): void {
  draft['reclaimPolicy'] ??= 'Delete';
  draft['volumeBindingMode'] ??= 'Immediate';
}

function validateClass(object: ApiObject): FieldError[] {
  const errors: FieldError[] = [];
  if ((object['provisioner'] ?? '') === '') errors.push(required('provisioner'));
  const policies = ['Delete', 'Retain'];
  if (!policies.includes(textOf(object['reclaimPolicy']))) {
    errors.push(notSupported('reclaimPolicy', object['reclaimPolicy'], policies));
  }
  const modes = ['Immediate', 'WaitForFirstConsumer'];
  if (!modes.includes(textOf(object['volumeBindingMode']))) {
    errors.push(notSupported('volumeBindingMode', object['volumeBindingMode'], modes));
  }
  return errors;
}

function validateClassUpdate(object: ApiObject, previous: ApiObject): FieldError[] {
  return ['parameters', 'provisioner', 'reclaimPolicy', 'volumeBindingMode']
    .filter((member) => !equalJson(object[member] ?? {}, previous[member] ?? {}))
    .map((member) => immutable(member, object[member] ?? {}));
}

const classNameColumn: PrinterColumn = {
  ...nameColumn,
  cell: (object) =>
    isDefaultClass(object as ApiObject)
      ? `${textAt(object, 'metadata', 'name')} (default)`
      : textAt(object, 'metadata', 'name'),
};

/** The kind StorageClass. */
export const storageClasses: BuiltInKind = {
  group,
  resource: 'storageclasses',
  kind: 'StorageClass',
  model: 'V1StorageClass',
  shortNames: ['sc'],
  isClusterScoped: true,
  nameColumn: classNameColumn,
  columns: [
    textColumn('Provisioner', (object) => object['provisioner']),
    textColumn('ReclaimPolicy', (object) => object['reclaimPolicy']),
    textColumn('VolumeBindingMode', (object) => object['volumeBindingMode']),
    {
      name: 'AllowVolumeExpansion',
      type: 'string',
      cell: (object) => object['allowVolumeExpansion'] === true,
    },
  ],
  rules: {
    prepareCreate: prepareClass,
    prepareUpdate: prepareClass,
    validate: validateClass,
    validateUpdate: validateClassUpdate,
  },
};

function prepareDriver(draft: DraftObject): void {
  const spec: MutableJsonObject = { ...asObject(draft['spec']) };
  spec['attachRequired'] ??= true;
  spec['podInfoOnMount'] ??= false;
  spec['storageCapacity'] ??= false;
  spec['fsGroupPolicy'] ??= 'ReadWriteOnceWithFSType';
  spec['volumeLifecycleModes'] ??= ['Persistent'];
  spec['requiresRepublish'] ??= false;
  spec['seLinuxMount'] ??= false;
  draft['spec'] = spec;
}

function validateDriverUpdate(object: ApiObject, previous: ApiObject): FieldError[] {
  return ['attachRequired', 'volumeLifecycleModes']
    .filter(
      (member) => !equalJson(readPath(object, 'spec', member), readPath(previous, 'spec', member)),
    )
    .map((member) => immutable(`spec.${member}`, readPath(object, 'spec', member)));
}

/** The kind CSIDriver. */
export const csiDrivers: BuiltInKind = {
  group,
  resource: 'csidrivers',
  kind: 'CSIDriver',
  model: 'V1CSIDriver',
  isClusterScoped: true,
  columns: [
    {
      name: 'AttachRequired',
      type: 'boolean',
      cell: (object) => readPath(object, 'spec', 'attachRequired') ?? true,
    },
    {
      name: 'PodInfoOnMount',
      type: 'boolean',
      cell: (object) => readPath(object, 'spec', 'podInfoOnMount') ?? false,
    },
    {
      name: 'StorageCapacity',
      type: 'boolean',
      cell: (object) => readPath(object, 'spec', 'storageCapacity') ?? false,
    },
    textColumn('TokenRequests', (object) => {
      const audiences = asList(readPath(object, 'spec', 'tokenRequests'));
      return audiences.length === 0
        ? '<unset>'
        : audiences.map((each) => textAt(asObject(each), 'audience')).join(',');
    }),
    {
      name: 'RequiresRepublish',
      type: 'boolean',
      cell: (object) => readPath(object, 'spec', 'requiresRepublish') ?? false,
    },
    textColumn('Modes', (object) =>
      asList(readPath(object, 'spec', 'volumeLifecycleModes'))
        .map((mode) => textOf(mode))
        .join(','),
    ),
  ],
  rules: {
    prepareCreate: prepareDriver,
    prepareUpdate: prepareDriver,
    validateUpdate: validateDriverUpdate,
  },
};

/** The kind CSINode. */
export const csiNodes: BuiltInKind = {
  group,
  resource: 'csinodes',
  kind: 'CSINode',
  model: 'V1CSINode',
  isClusterScoped: true,
  columns: [
    {
      name: 'Drivers',
      type: 'integer',
      cell: (object) => asList(readPath(object, 'spec', 'drivers')).length,
    },
  ],
};

function validateAttachment(object: ApiObject): FieldError[] {
  const errors = ['attacher', 'nodeName']
    .filter((member) => textAt(object, 'spec', member) === '')
    .map((member) => required(`spec.${member}`));
  const source = asObject(readPath(object, 'spec', 'source'));
  if (source['persistentVolumeName'] === undefined && source['inlineVolumeSpec'] === undefined) {
    errors.push(
      required(
        'spec.source',
        'must specify exactly one of inlineVolumeSpec and persistentVolumeName',
      ),
    );
  }
  return errors;
}

/** The kind VolumeAttachment. */
export const volumeAttachments: BuiltInKind = {
  group,
  resource: 'volumeattachments',
  kind: 'VolumeAttachment',
  model: 'V1VolumeAttachment',
  isClusterScoped: true,
  hasStatus: true,
  columns: [
    textColumn('Attacher', (object) => textAt(object, 'spec', 'attacher')),
    textColumn('PV', (object) => textAt(object, 'spec', 'source', 'persistentVolumeName')),
    textColumn('Node', (object) => textAt(object, 'spec', 'nodeName')),
    {
      name: 'Attached',
      type: 'boolean',
      cell: (object) => readPath(object, 'status', 'attached') ?? false,
    },
  ],
  rules: {
    prepareCreate: (draft) => {
      draft['status'] = { attached: false };
    },
    validate: validateAttachment,
    validateUpdate: (object, previous) =>
      equalJson(object['spec'], previous['spec']) ? [] : [immutable('spec', 'spec')],
  },
};

/** The kinds of this file's group, as they are listed. */
export const storageKinds: readonly BuiltInKind[] = [
  storageClasses,
  csiDrivers,
  csiNodes,
  volumeAttachments,
];
