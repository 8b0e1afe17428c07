/**
 * PersistentVolumeClaims: defaults, the mirroring of `dataSource` and `dataSourceRef`, and which changes a
 * claim allows (kubernetes/pkg/apis/core validation and the admission plugins DefaultStorageClass,
 * StorageObjectInUseProtection, PersistentVolumeClaimResize).
 */
import { forbidden, type FieldError } from '../../objects/api-error.ts';
import type { ApiObject } from '../../objects/api-object.ts';
import {
  forbiddenField,
  invalidValue,
  notSupported,
  required,
} from '../../objects/field-errors.ts';
import {
  asList,
  asObject,
  asString,
  equalJson,
  isObject,
  readPath,
  type Json,
  type JsonObject,
  type MutableJsonObject,
  textOf,
} from '../../objects/json.ts';
import { subdomainError } from '../../objects/names.ts';
import { compareQuantities, parseQuantityMilli } from '../../objects/quantity.ts';
import { formatAccessModes, formatPhase, textColumn, unsettableColumn } from '../columns.ts';
import type { ClusterView, DraftObject, KindRules } from '../resource-definition.ts';
import { textAt, type BuiltInKind } from './built-in-resource.ts';
import { canonicalQuantities } from './quantities.ts';
import { defaultClassOf } from './storage-classes.ts';

const accessModes = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod'];
const where = { group: '', resource: 'persistentvolumeclaims' };
const protection = 'kubernetes.io/pvc-protection';
const legacyClassAnnotation = 'volume.beta.kubernetes.io/storage-class';

/** Kinds that `dataSource` may name; any other is a populator's and stands in `dataSourceRef` alone. */
function isCoreDataSource(source: JsonObject): boolean {
  const group = asString(source['apiGroup']) ?? '';
  return (
    (source['kind'] === 'PersistentVolumeClaim' && group === '') ||
    (source['kind'] === 'VolumeSnapshot' && group === 'snapshot.storage.k8s.io')
  );
}

function specOf(draft: DraftObject): MutableJsonObject {
  const spec: MutableJsonObject = { ...asObject(draft['spec']) };
  draft['spec'] = spec;
  return spec;
}

function prepareCreate(draft: DraftObject, cluster: ClusterView): void {
  const spec = specOf(draft);
  spec['volumeMode'] ??= 'Filesystem';
  normalizeDataSource(spec);
  canonicalQuantities(spec, 'resources', 'requests');
  const annotations = asObject(draft.metadata['annotations']);
  if (spec['storageClassName'] === undefined && annotations[legacyClassAnnotation] === undefined) {
    const found = defaultClassOf(cluster);
    if (found !== undefined) spec['storageClassName'] = found.metadata.name;
  }
  const finalizers = asList(draft.metadata['finalizers']);
  if (!finalizers.includes(protection)) draft.metadata['finalizers'] = [...finalizers, protection];
  draft['status'] = { phase: 'Pending' };
}

/** The group of a source is a pointer without omitempty in Go: Kubernetes writes an absent one as null. */
function stateGroups(spec: MutableJsonObject): void {
  for (const member of ['dataSource', 'dataSourceRef']) {
    const source = spec[member];
    if (isObject(source)) spec[member] = { ...source, apiGroup: source['apiGroup'] ?? null };
  }
}

/**
 * The server mirrors one source field into the other, drops a `dataSource` of a kind that it does not know, and a
 * `dataSourceRef` into another namespace (the gate CrossNamespaceVolumeDataSource is off).
 */
function normalizeDataSource(spec: MutableJsonObject): void {
  stateGroups(spec);
  if (isObject(spec['dataSource']) && !isCoreDataSource(spec['dataSource']))
    delete spec['dataSource'];
  const reference = spec['dataSourceRef'];
  if (isObject(reference) && (asString(reference['namespace']) ?? '') !== '') {
    delete spec['dataSourceRef'];
  }
  const { dataSource, dataSourceRef } = spec as { dataSource?: Json; dataSourceRef?: Json };
  if (isObject(dataSource) && dataSourceRef === undefined)
    spec['dataSourceRef'] = { ...dataSource };
  if (isObject(dataSourceRef) && dataSource === undefined) {
    const { namespace: _namespace, ...source } = dataSourceRef;
    spec['dataSource'] = source;
  }
}

function prepareUpdate(draft: DraftObject, previous: ApiObject): void {
  const spec = specOf(draft);
  spec['volumeMode'] ??= readPath(previous, 'spec', 'volumeMode') ?? 'Filesystem';
  stateGroups(spec);
  canonicalQuantities(spec, 'resources', 'requests');
  // A client that writes back what it wrote at first does not know the mirrored field: that is no change.
  for (const member of ['dataSource', 'dataSourceRef']) {
    const before = readPath(previous, 'spec', member);
    if (spec[member] === undefined && before !== undefined) spec[member] = before;
  }
  const status: MutableJsonObject = { ...asObject(draft['status']) };
  canonicalQuantities(status, 'capacity');
  canonicalQuantities(status, 'allocatedResources');
  draft['status'] = status;
}

function validate(object: ApiObject): FieldError[] {
  const spec = asObject(object['spec']);
  return [
    ...validateAccessModes(spec['accessModes']),
    ...validateRequest(spec),
    ...validateVolumeMode(spec['volumeMode']),
    ...validateClassName(spec['storageClassName']),
    ...validateSources(spec),
  ];
}

function validateAccessModes(value: Json | undefined): FieldError[] {
  const modes = asList(value);
  const path = 'spec.accessModes';
  if (modes.length === 0) return [required(path, 'at least 1 access mode is required')];
  const wrong = modes.find((mode) => !accessModes.includes(textOf(mode)));
  if (wrong !== undefined) return [notSupported(path, wrong, accessModes)];
  if (modes.includes('ReadWriteOncePod') && modes.length > 1) {
    return [forbiddenField(path, 'may not use ReadWriteOncePod with other access modes')];
  }
  return [];
}

function validateRequest(spec: JsonObject): FieldError[] {
  const request = readPath(spec, 'resources', 'requests', 'storage');
  const path = 'spec.resources[storage]';
  if (request === undefined) return [required(path)];
  const amount = parseQuantityMilli(request);
  if (amount === undefined) {
    return [invalidValue(path, request, 'must be a quantity, as "256Mi"')];
  }
  return amount > 0n ? [] : [invalidValue(path, request, 'must be greater than zero')];
}

function validateVolumeMode(mode: Json | undefined): FieldError[] {
  if (mode === undefined || mode === 'Block' || mode === 'Filesystem') return [];
  return [notSupported('spec.volumeMode', mode, ['Block', 'Filesystem'])];
}

function validateClassName(name: Json | undefined): FieldError[] {
  if (typeof name !== 'string' || name === '') return [];
  const error = subdomainError(name);
  return error === undefined ? [] : [invalidValue('spec.storageClassName', name, error)];
}

function validateSources(spec: JsonObject): FieldError[] {
  const errors: FieldError[] = [];
  for (const member of ['dataSource', 'dataSourceRef']) {
    const source = spec[member];
    if (!isObject(source)) continue;
    for (const part of ['name', 'kind']) {
      if ((asString(source[part]) ?? '') === '') errors.push(required(`spec.${member}.${part}`));
    }
    const group = asString(source['apiGroup']) ?? '';
    if (group === '' && source['kind'] !== 'PersistentVolumeClaim') {
      errors.push(
        invalidValue(
          `spec.${member}`,
          source['kind'],
          `must be 'PersistentVolumeClaim' when referencing the default apiGroup`,
        ),
      );
    }
  }
  const { dataSource, dataSourceRef } = spec;
  if (isObject(dataSource) && isObject(dataSourceRef) && errors.length === 0) {
    if (!equalJson(withGroup(dataSource), withGroup(dataSourceRef))) {
      errors.push(invalidValue('spec', {}, 'must match dataSourceRef'));
    }
  }
  return errors;
}

function withGroup(source: JsonObject): JsonObject {
  return { apiGroup: source['apiGroup'] ?? '', kind: source['kind'], name: source['name'] };
}

function validateUpdate(
  object: ApiObject,
  previous: ApiObject,
  cluster: ClusterView,
): FieldError[] {
  const spec = asObject(object['spec']);
  const before = asObject(previous['spec']);
  const newSize = readPath(spec, 'resources', 'requests', 'storage');
  const oldSize = readPath(before, 'resources', 'requests', 'storage');
  if (!equalJson(fixedPart(spec, before), fixedPart(before, before))) {
    return [
      forbiddenField(
        'spec',
        'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims',
      ),
    ];
  }
  const difference = compareQuantities(newSize, oldSize);
  if (difference === 0) return [];
  if (textAt(previous, 'status', 'phase') !== 'Bound') {
    return [
      forbiddenField(
        'spec',
        'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims',
      ),
    ];
  }
  if (difference < 0) return checkShrink(object, newSize);
  checkExpandable(object, cluster);
  return [];
}

/**
 * The specification without what may change: the request, the attributes class, and what binding or late
 * defaulting fills in.
 */
function fixedPart(spec: JsonObject, before: JsonObject): JsonObject {
  const fixed: MutableJsonObject = { ...spec };
  delete fixed['volumeAttributesClassName'];
  if ((asString(before['volumeName']) ?? '') === '') delete fixed['volumeName'];
  if (before['storageClassName'] === undefined) delete fixed['storageClassName'];
  const resources = asObject(fixed['resources']);
  const requests: MutableJsonObject = { ...asObject(resources['requests']) };
  delete requests['storage'];
  fixed['resources'] = { ...resources, requests };
  return fixed;
}

/**
 * A request may be lowered again only to recover from a failed expansion: it must stay above what the volume
 * has.
 */
function checkShrink(object: ApiObject, newSize: Json | undefined): FieldError[] {
  const capacity = readPath(object, 'status', 'capacity', 'storage');
  if (capacity !== undefined && compareQuantities(newSize, capacity) > 0) return [];
  return [
    forbiddenField('spec.resources.requests.storage', 'field can not be less than status.capacity'),
  ];
}

function checkExpandable(object: ApiObject, cluster: ClusterView): void {
  const className = textAt(object, 'spec', 'storageClassName');
  const found = cluster.get('storageclasses.storage.k8s.io', className);
  if (found?.['allowVolumeExpansion'] === true) return;
  throw forbidden(
    where,
    object.metadata.name,
    'only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize',
  );
}

/** A size that is no whole number of bytes is taken, and rounded up by whoever provisions it. */
function warnings(object: ApiObject): string[] {
  const request = readPath(object, 'spec', 'resources', 'requests', 'storage');
  if ((parseQuantityMilli(request) ?? 0n) % 1000n === 0n) return [];
  const quoted = JSON.stringify(request);
  return [
    `spec.resources.requests[storage]: fractional byte value ${quoted} is invalid, must be an integer`,
  ];
}

const rules: KindRules = {
  returnsDeletedObject: true,
  warnings,
  prepareCreate,
  prepareUpdate,
  validate,
  validateUpdate,
};

/** The kind PersistentVolumeClaim. */
export const persistentVolumeClaims: BuiltInKind = {
  resource: 'persistentvolumeclaims',
  kind: 'PersistentVolumeClaim',
  model: 'V1PersistentVolumeClaim',
  shortNames: ['pvc'],
  hasStatus: true,
  columns: [
    textColumn('Status', formatPhase),
    textColumn('Volume', (object) => textAt(object, 'spec', 'volumeName')),
    textColumn('Capacity', (object) =>
      textAt(object, 'spec', 'volumeName') === ''
        ? ''
        : textAt(object, 'status', 'capacity', 'storage'),
    ),
    textColumn('Access Modes', (object) =>
      textAt(object, 'spec', 'volumeName') === ''
        ? ''
        : formatAccessModes(readPath(object, 'status', 'accessModes')),
    ),
    textColumn('StorageClass', (object) => textAt(object, 'spec', 'storageClassName')),
    unsettableColumn('VolumeAttributesClass', 'spec', 'volumeAttributesClassName'),
  ],
  trailingColumns: [textColumn('VolumeMode', (object) => textAt(object, 'spec', 'volumeMode'), 1)],
  rules,
};
