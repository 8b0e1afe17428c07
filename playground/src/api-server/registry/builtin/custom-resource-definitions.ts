/**
 * CustomResourceDefinitions: checked so that what is served afterwards does what it says. A definition is
 * Established in the same step that stores it. What the playground cannot do for custom resources is refused
 * here, by name, not ignored later.
 */
import type { FieldError } from '../../objects/api-error.ts';
import {
  annotationOf,
  formatTime,
  isTerminating,
  type ApiObject,
} from '../../objects/api-object.ts';
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
  asString,
  isObject,
  readPath,
  type Json,
  type JsonObject,
  type MutableJsonObject,
} from '../../objects/json.ts';
import { structuralErrors } from '../../schema/structural.ts';
import { checkRuleSyntax } from '../../schema/validation-rules.ts';
import { isReadableJsonPath } from '../columns.ts';
import type { ClusterView, DraftObject } from '../resource-definition.ts';
import { textAt, type BuiltInKind } from './built-in-resource.ts';

/** Holds a definition until its objects are gone. */
export const cleanupFinalizer = 'customresourcecleanup.apiextensions.k8s.io';

const approvalAnnotation = 'api-approved.kubernetes.io';

function versionsOf(object: JsonObject): JsonObject[] {
  return asList(readPath(object, 'spec', 'versions')).map((each) => asObject(each));
}

function prepare(draft: DraftObject, previous: ApiObject | undefined, cluster: ClusterView): void {
  const spec: MutableJsonObject = { ...asObject(draft['spec']) };
  const names = asObject(spec['names']);
  const kind = asString(names['kind']) ?? '';
  spec['names'] = {
    ...names,
    singular: names['singular'] ?? kind.toLowerCase(),
    listKind: names['listKind'] ?? `${kind}List`,
  };
  spec['conversion'] ??= { strategy: 'None' };
  draft['spec'] = spec;
  const storage = versionsOf(draft).find((version) => version['storage'] === true);
  const earlier = asList(readPath(previous, 'status', 'storedVersions'));
  const storedVersions = [...new Set([...earlier, storage?.['name'] ?? ''])];
  draft['status'] = {
    acceptedNames: spec['names'],
    conditions: conditionsOf(draft, previous, cluster),
    storedVersions,
  };
}

function conditionsOf(
  draft: DraftObject,
  previous: ApiObject | undefined,
  cluster: ClusterView,
): Json[] {
  const earlier = asList(readPath(previous, 'status', 'conditions')).map((each) => asObject(each));
  const condition = (type: string, reason: string, message: string): Json => {
    const same = earlier.find((each) => each['type'] === type && each['reason'] === reason);
    if (same !== undefined) return same;
    return {
      type,
      status: 'True',
      lastTransitionTime: formatTime(cluster.now()),
      reason,
      message,
    };
  };
  const conditions = [
    condition('NamesAccepted', 'NoConflicts', 'no conflicts found'),
    condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted'),
  ];
  const isDeleted = previous !== undefined && isTerminating(previous);
  if (isDeleted) {
    conditions.push(
      condition(
        'Terminating',
        'InstanceDeletionInProgress',
        'CustomResource deletion is in progress',
      ),
    );
  }
  const approval = annotationOf(draft, approvalAnnotation);
  if (approval?.startsWith('unapproved') === true) {
    conditions.push({
      ...asObject(
        condition(
          'KubernetesAPIApprovalPolicyConformant',
          'UnapprovedAnnotation',
          `not approved by Kubernetes: ${JSON.stringify(approval)}`,
        ),
      ),
      status: 'False',
    });
  }
  return conditions;
}

function validate(object: ApiObject): FieldError[] {
  const group = textAt(object, 'spec', 'group');
  const plural = textAt(object, 'spec', 'names', 'plural');
  const errors: FieldError[] = [];
  if (object.metadata.name !== `${plural}.${group}`) {
    errors.push(
      invalidValue(
        'metadata.name',
        object.metadata.name,
        `must be spec.names.plural+"."+spec.group`,
      ),
    );
  }
  const scopes = ['Cluster', 'Namespaced'];
  if (!scopes.includes(textAt(object, 'spec', 'scope'))) {
    errors.push(notSupported('spec.scope', textAt(object, 'spec', 'scope'), scopes));
  }
  if (
    /(^|\.)k8s\.io$|(^|\.)kubernetes\.io$/.test(group) &&
    annotationOf(object, approvalAnnotation) === undefined
  ) {
    errors.push(
      required(
        `metadata.annotations[${approvalAnnotation}]`,
        'protected groups must have approval annotation "api-approved.kubernetes.io", ' +
          'see https://github.com/kubernetes/enhancements/pull/1111',
      ),
    );
  }
  if (readPath(object, 'spec', 'conversion', 'strategy') !== 'None') {
    errors.push(
      forbiddenField(
        'spec.conversion.strategy',
        `the playground's API server has no conversion webhooks: only "None" is supported`,
      ),
    );
  }
  const storageCount = versionsOf(object).filter((version) => version['storage'] === true).length;
  if (storageCount !== 1) {
    errors.push(
      invalidValue(
        'spec.versions',
        'array',
        'must have exactly one version marked as storage version',
      ),
    );
  }
  versionsOf(object).forEach((version, index) => {
    errors.push(...validateVersion(version, `spec.versions[${index}]`));
  });
  return errors;
}

function validateVersion(version: JsonObject, path: string): FieldError[] {
  const schema = readPath(version, 'schema', 'openAPIV3Schema');
  if (!isObject(schema)) {
    return [required(`${path}.schema.openAPIV3Schema`, 'schemas are required')];
  }
  const schemaPath = `${path}.schema.openAPIV3Schema`;
  const errors = structuralErrors(schema, schemaPath);
  if (errors.length === 0) errors.push(...checkRuleSyntax(schema, schemaPath));
  asList(version['additionalPrinterColumns']).forEach((column, index) => {
    const jsonPath = textAt(asObject(column), 'jsonPath');
    if (isReadableJsonPath(jsonPath)) return;
    errors.push(
      invalidValue(
        `${path}.additionalPrinterColumns[${index}].jsonPath`,
        jsonPath,
        `must be a simple json path starting with . (the playground's API server knows .member, ` +
          `['member'], [0] and [?(@.key=="value")])`,
      ),
    );
  });
  return errors;
}

function validateUpdate(object: ApiObject, previous: ApiObject): FieldError[] {
  return (['group', 'scope'] as const)
    .filter((member) => readPath(object, 'spec', member) !== readPath(previous, 'spec', member))
    .map((member) => immutable(`spec.${member}`, readPath(object, 'spec', member)));
}

/** The kind CustomResourceDefinition. */
export const customResourceDefinitions: BuiltInKind = {
  group: 'apiextensions.k8s.io',
  resource: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  model: 'V1CustomResourceDefinition',
  shortNames: ['crd', 'crds'],
  categories: ['api-extensions'],
  isClusterScoped: true,
  hasStatus: true,
  allColumns: [
    {
      name: 'Name',
      type: 'string',
      format: 'name',
      cell: (object) => textAt(object, 'metadata', 'name'),
    },
    {
      name: 'Created At',
      type: 'date',
      cell: (object) => textAt(object, 'metadata', 'creationTimestamp'),
    },
  ],
  rules: {
    tracksGeneration: true,
    needsResourceVersion: true,
    prepareCreate: (draft, cluster) => prepare(draft, undefined, cluster),
    prepareUpdate: prepare,
    validate,
    validateUpdate,
    deletionFinalizers: [cleanupFinalizer],
  },
};
