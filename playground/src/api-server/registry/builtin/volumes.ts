/** PersistentVolumes: defaults, what a volume must say, and what stays as it was. */
import type { FieldError } from '../../objects/api-error.ts';
import { formatTime, type ApiObject } from '../../objects/api-object.ts';
import {
  forbiddenField,
  immutable,
  invalidValue,
  notSupported,
  required,
} from '../../objects/field-errors.ts';
import {
  asList,
  asObject,
  equalJson,
  readPath,
  type Json,
  type JsonObject,
  type MutableJsonObject,
  textOf,
} from '../../objects/json.ts';
import { parseQuantityMilli } from '../../objects/quantity.ts';
import { formatAccessModes, formatPhase, textColumn, unsettableColumn } from '../columns.ts';
import type { ClusterView, DraftObject } from '../resource-definition.ts';
import { textAt, type BuiltInKind } from './built-in-resource.ts';
import { canonicalQuantities } from './quantities.ts';

const protection = 'kubernetes.io/pv-protection';
const accessModes = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod'];

/** Members of a volume's specification that do not say where its data lies. */
const otherMembers: ReadonlySet<string> = new Set([
  'accessModes',
  'capacity',
  'claimRef',
  'mountOptions',
  'nodeAffinity',
  'persistentVolumeReclaimPolicy',
  'storageClassName',
  'volumeAttributesClassName',
  'volumeMode',
]);

function sourceOf(spec: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(spec).filter(
      ([member, value]) => !otherMembers.has(member) && value !== undefined,
    ),
  );
}

function prepare(draft: DraftObject): void {
  const spec: MutableJsonObject = { ...asObject(draft['spec']) };
  spec['volumeMode'] ??= 'Filesystem';
  spec['persistentVolumeReclaimPolicy'] ??= 'Retain';
  canonicalQuantities(spec, 'capacity');
  draft['spec'] = spec;
}

function prepareCreate(draft: DraftObject, cluster: ClusterView): void {
  prepare(draft);
  const finalizers = asList(draft.metadata['finalizers']);
  if (!finalizers.includes(protection)) draft.metadata['finalizers'] = [...finalizers, protection];
  draft['status'] = { phase: 'Pending', lastPhaseTransitionTime: formatTime(cluster.now()) };
}

function validate(object: ApiObject): FieldError[] {
  const spec = asObject(object['spec']);
  const errors: FieldError[] = [];
  const modes = asList(spec['accessModes']);
  if (modes.length === 0) errors.push(required('spec.accessModes'));
  const wrong = modes.find((mode) => !accessModes.includes(textOf(mode)));
  if (wrong !== undefined) errors.push(notSupported('spec.accessModes', wrong, accessModes));
  if (spec['volumeMode'] !== 'Block' && spec['volumeMode'] !== 'Filesystem') {
    errors.push(notSupported('spec.volumeMode', spec['volumeMode'], ['Block', 'Filesystem']));
  }
  errors.push(...validateCapacity(asObject(spec['capacity'])), ...validateCsi(spec['csi']));
  const sources = Object.keys(sourceOf(spec));
  if (sources.length === 0) errors.push(required('spec', 'must specify a volume type'));
  for (const extra of sources.slice(1)) {
    errors.push(forbiddenField(`spec.${extra}`, 'may not specify more than 1 volume type'));
  }
  const policies = ['Delete', 'Recycle', 'Retain'];
  if (!policies.includes(textOf(spec['persistentVolumeReclaimPolicy']))) {
    errors.push(
      notSupported(
        'spec.persistentVolumeReclaimPolicy',
        spec['persistentVolumeReclaimPolicy'],
        policies,
      ),
    );
  }
  return errors;
}

function validateCapacity(capacity: JsonObject): FieldError[] {
  if (Object.keys(capacity).length === 0) return [required('spec.capacity')];
  const { storage } = capacity;
  if (storage === undefined || Object.keys(capacity).length > 1) {
    return [notSupported('spec.capacity', capacity, ['storage'])];
  }
  if ((parseQuantityMilli(storage) ?? 0n) > 0n) return [];
  return [invalidValue('spec.capacity[storage]', storage, 'must be greater than zero')];
}

function validateCsi(source: Json | undefined): FieldError[] {
  if (source === undefined) return [];
  return ['driver', 'volumeHandle']
    .filter((member) => textAt(asObject(source), member) === '')
    .map((member) => required(`spec.csi.${member}`));
}

function validateUpdate(object: ApiObject, previous: ApiObject): FieldError[] {
  const spec = asObject(object['spec']);
  const before = asObject(previous['spec']);
  const errors: FieldError[] = [];
  if (!equalJson(sourceOf(spec), sourceOf(before))) {
    errors.push(
      forbiddenField(
        'spec.persistentvolumesource',
        'spec.persistentvolumesource is immutable after creation',
      ),
    );
  }
  if (spec['volumeMode'] !== before['volumeMode']) {
    errors.push(immutable('spec.volumeMode', spec['volumeMode']));
  }
  if (
    before['nodeAffinity'] !== undefined &&
    !equalJson(spec['nodeAffinity'], before['nodeAffinity'])
  ) {
    errors.push(immutable('spec.nodeAffinity', 'nodeAffinity'));
  }
  return errors;
}

/** The kind PersistentVolume. */
export const persistentVolumes: BuiltInKind = {
  resource: 'persistentvolumes',
  kind: 'PersistentVolume',
  model: 'V1PersistentVolume',
  shortNames: ['pv'],
  isClusterScoped: true,
  hasStatus: true,
  columns: [
    textColumn('Capacity', (object) => textAt(object, 'spec', 'capacity', 'storage')),
    textColumn('Access Modes', (object) =>
      formatAccessModes(readPath(object, 'spec', 'accessModes')),
    ),
    textColumn('Reclaim Policy', (object) =>
      textAt(object, 'spec', 'persistentVolumeReclaimPolicy'),
    ),
    textColumn('Status', formatPhase),
    textColumn('Claim', (object) => {
      const claim = asObject(readPath(object, 'spec', 'claimRef'));
      return claim['name'] === undefined
        ? ''
        : `${textAt(claim, 'namespace')}/${textAt(claim, 'name')}`;
    }),
    textColumn('StorageClass', (object) => textAt(object, 'spec', 'storageClassName')),
    unsettableColumn('VolumeAttributesClass', 'spec', 'volumeAttributesClassName'),
    textColumn('Reason', (object) => textAt(object, 'status', 'reason')),
  ],
  trailingColumns: [textColumn('VolumeMode', (object) => textAt(object, 'spec', 'volumeMode'), 1)],
  rules: {
    returnsDeletedObject: true,
    prepareCreate,
    prepareUpdate: prepare,
    validate,
    validateUpdate,
  },
};
