/**
 * Namespaces. Their finalizer stands in the specification, and goes when the namespace controller has deleted
 * the content.
 */
import { forbidden } from '../../objects/api-error.ts';
import { asObject, textOf } from '../../objects/json.ts';
import { labelNameError } from '../../objects/names.ts';
import { textColumn } from '../columns.ts';
import type { DraftObject } from '../resource-definition.ts';
import { textAt, type BuiltInKind } from './built-in-resource.ts';

/** Namespaces that are there from the start. */
export const initialNamespaces: readonly string[] = [
  'default',
  'kube-system',
  'kube-public',
  'kube-node-lease',
];
const undeletable: ReadonlySet<string> = new Set(['default', 'kube-system', 'kube-public']);

function prepare(draft: DraftObject): void {
  const name = textOf(draft.metadata['name']);
  draft.metadata['labels'] = {
    ...asObject(draft.metadata['labels']),
    'kubernetes.io/metadata.name': name,
  };
}

/** The kind Namespace. */
export const namespaces: BuiltInKind = {
  resource: 'namespaces',
  kind: 'Namespace',
  model: 'V1Namespace',
  shortNames: ['ns'],
  isClusterScoped: true,
  hasStatus: true,
  columns: [textColumn('Status', (object) => textAt(object, 'status', 'phase'))],
  selectableFields: ['status.phase', 'name'],
  rules: {
    nameError: labelNameError,
    returnsDeletedObject: true,
    prepareCreate: (draft) => {
      prepare(draft);
      draft['spec'] = { finalizers: ['kubernetes'] };
      draft['status'] = { phase: 'Active' };
    },
    prepareUpdate: (draft, previous) => {
      prepare(draft);
      draft['spec'] = previous['spec'] ?? {};
    },
    beforeDelete: (object) => {
      if (!undeletable.has(object.metadata.name)) return;
      throw forbidden(
        { group: '', resource: 'namespaces' },
        object.metadata.name,
        'this namespace may not be deleted',
      );
    },
  },
};
