/** The small kinds of the core group: ConfigMap, Secret, ServiceAccount, Node; and Lease. */
import type { FieldError } from '../../objects/api-error.ts';
import type { ApiObject } from '../../objects/api-object.ts';
import { forbiddenField, immutable, invalidValue } from '../../objects/field-errors.ts';
import {
  asList,
  asObject,
  asString,
  equalJson,
  readPath,
  type JsonObject,
  textOf,
} from '../../objects/json.ts';
import { isOfFormat } from '../../schema/formats.ts';
import { textColumn } from '../columns.ts';
import type { DraftObject, PrinterColumn } from '../resource-definition.ts';
import { textAt, type BuiltInKind } from './built-in-resource.ts';

function memberCount(...members: readonly string[]): PrinterColumn['cell'] {
  return (object) =>
    members.reduce((sum, member) => sum + Object.keys(asObject(object[member])).length, 0);
}

function keepImmutable(object: ApiObject, previous: ApiObject): FieldError[] {
  if (previous['immutable'] !== true) return [];
  const errors: FieldError[] = [];
  if (object['immutable'] !== true) {
    errors.push(forbiddenField('immutable', 'field is immutable when `immutable` is set'));
  }
  for (const member of ['data', 'binaryData']) {
    if (!equalJson(object[member] ?? {}, previous[member] ?? {})) {
      errors.push(forbiddenField(member, 'field is immutable when `immutable` is set'));
    }
  }
  return errors;
}

/** The kind ConfigMap. */
export const configMaps: BuiltInKind = {
  resource: 'configmaps',
  kind: 'ConfigMap',
  model: 'V1ConfigMap',
  shortNames: ['cm'],
  columns: [{ name: 'Data', type: 'string', cell: memberCount('data', 'binaryData') }],
  rules: { validateUpdate: keepImmutable },
};

/** `stringData` is for writing only: it ends up in `data`. */
function prepareSecret(draft: DraftObject): void {
  draft['type'] ??= 'Opaque';
  const plain = Object.entries(asObject(draft['stringData'])).map(([key, value]) => [
    key,
    Buffer.from(textOf(value)).toString('base64'),
  ]);
  if (plain.length > 0)
    draft['data'] = { ...asObject(draft['data']), ...Object.fromEntries(plain) };
  delete draft['stringData'];
}

function validateSecret(object: ApiObject): FieldError[] {
  return Object.entries(asObject(object['data']))
    .filter(([, value]) => !isOfFormat('byte', asString(value) ?? '*'))
    .map(([key]) => invalidValue(`data[${key}]`, '<secret>', 'must be base64'));
}

/** The kind Secret. */
export const secrets: BuiltInKind = {
  resource: 'secrets',
  kind: 'Secret',
  model: 'V1Secret',
  columns: [
    textColumn('Type', (object) => textAt(object, 'type')),
    { name: 'Data', type: 'string', cell: memberCount('data') },
  ],
  selectableFields: ['type'],
  rules: {
    prepareCreate: prepareSecret,
    prepareUpdate: prepareSecret,
    validate: validateSecret,
    validateUpdate: (object, previous) => [
      ...(object['type'] === previous['type'] ? [] : [immutable('type', object['type'])]),
      ...keepImmutable(object, previous),
    ],
  },
};

/** The kind ServiceAccount. */
export const serviceAccounts: BuiltInKind = {
  resource: 'serviceaccounts',
  kind: 'ServiceAccount',
  model: 'V1ServiceAccount',
  shortNames: ['sa'],
  refusedSubresources: { token: 'the playground knows no identities but its one user' },
  columns: [
    { name: 'Secrets', type: 'string', cell: (object) => asList(object['secrets']).length },
  ],
};

function nodeStatus(object: JsonObject): string {
  const ready = asList(readPath(object, 'status', 'conditions'))
    .map((each) => asObject(each))
    .find((each) => each['type'] === 'Ready');
  if (ready === undefined) return 'Unknown';
  return ready['status'] === 'True' ? 'Ready' : 'NotReady';
}

/** The kind Node. */
export const nodes: BuiltInKind = {
  resource: 'nodes',
  kind: 'Node',
  model: 'V1Node',
  shortNames: ['no'],
  isClusterScoped: true,
  hasStatus: true,
  refusedSubresources: { proxy: 'the playground has no kubelet' },
  columns: [textColumn('Status', nodeStatus), textColumn('Roles', () => '<none>')],
  trailingColumns: [
    textColumn('Version', (object) => textAt(object, 'status', 'nodeInfo', 'kubeletVersion')),
  ],
  selectableFields: ['spec.unschedulable'],
};

/** The kind Lease. */
export const leases: BuiltInKind = {
  group: 'coordination.k8s.io',
  resource: 'leases',
  kind: 'Lease',
  model: 'V1Lease',
  columns: [textColumn('Holder', (object) => textAt(object, 'spec', 'holderIdentity'))],
  rules: { needsResourceVersion: true },
};
