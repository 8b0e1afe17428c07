/** From a CustomResourceDefinition to the definitions of what it serves. */
import {
  asList,
  asObject,
  asString,
  isObject,
  readPath,
  type JsonObject,
  textOf,
} from '../objects/json.ts';
import type { ApiObject } from '../objects/api-object.ts';
import type { Schema } from '../schema/schema.ts';
import { ageColumn, customColumn, nameColumn, readJsonPath } from './columns.ts';
import { commonSelectableFields } from './builtin/built-in-resource.ts';
import { storageKeyOf, type KindRules, type ResourceDefinition } from './resource-definition.ts';

/** The definitions of all served versions of a CRD. */
export function customDefinitions(crd: ApiObject, metadataSchema: Schema): ResourceDefinition[] {
  const spec = asObject(crd['spec']);
  const names = asObject(readPath(crd, 'status', 'acceptedNames'));
  const group = asString(spec['group']) ?? '';
  const resource = asString(names['plural']) ?? '';
  const kind = asString(names['kind']) ?? '';
  const isNamespaced = spec['scope'] !== 'Cluster';
  return asList(spec['versions'])
    .map((each) => asObject(each))
    .filter((version) => version['served'] === true)
    .map((version) => ({
      group,
      version: asString(version['name']) ?? '',
      resource,
      singular: asString(names['singular']) ?? kind.toLowerCase(),
      kind,
      listKind: asString(names['listKind']) ?? `${kind}List`,
      shortNames: asList(names['shortNames']).map(String),
      categories: asList(names['categories']).map(String),
      isNamespaced,
      isCustom: true,
      hasStatus: isObject(readPath(version, 'subresources', 'status')),
      refusedSubresources: isObject(readPath(version, 'subresources', 'scale'))
        ? { scale: 'the playground has no autoscaler' }
        : {},
      storageKey: storageKeyOf(group, resource),
      schema: schemaOf(version, metadataSchema),
      columns: columnsOf(version),
      selectableFields: new Map([
        ...commonSelectableFields(isNamespaced),
        ...selectableFieldsOf(version),
      ]),
      rules: customRules(version),
    }));
}

/** The version's schema, with Kubernetes' own idea of metadata in the place of the CRD's. */
function schemaOf(version: JsonObject, metadataSchema: Schema): Schema {
  const schema = asObject(readPath(version, 'schema', 'openAPIV3Schema')) as Schema;
  return {
    ...schema,
    type: 'object',
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      ...schema.properties,
      metadata: metadataSchema,
    },
  };
}

function columnsOf(version: JsonObject): ResourceDefinition['columns'] {
  const stated = asList(version['additionalPrinterColumns']).map((each) => asObject(each));
  if (stated.length === 0) return [nameColumn, ageColumn];
  return [nameColumn, ...stated.map((each) => customColumn(each))];
}

function selectableFieldsOf(version: JsonObject): [string, (object: JsonObject) => string][] {
  return asList(version['selectableFields']).map((each) => {
    const path = asString(asObject(each)['jsonPath']) ?? '';
    return [
      path.replace(/^\./, ''),
      (object: JsonObject): string => textOf(readJsonPath(object, path) ?? ''),
    ];
  });
}

function customRules(version: JsonObject): KindRules {
  const warning = asString(version['deprecationWarning']);
  const isDeprecated = version['deprecated'] === true;
  return {
    tracksGeneration: true,
    needsResourceVersion: true,
    ...(isDeprecated ? { warnings: () => [warning ?? 'this version is deprecated'] } : {}),
  };
}
