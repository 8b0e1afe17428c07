/** OpenAPI v3, as far as kubectl reads it: `explain`, and whether the server checks fields (`fieldValidation`). */
import { createHash } from 'node:crypto';
import { formatApiVersion } from '../objects/api-object.ts';
import { isObject, type Json, type JsonObject, type MutableJsonObject } from '../objects/json.ts';
import type { Registry } from '../registry/registry.ts';
import type { ResourceDefinition } from '../registry/resource-definition.ts';
import { patchTypesOf } from '../operations/patch.ts';
import type { ModelSchemas } from '../schema/model-schemas.ts';
import type { Schema } from '../schema/schema.ts';

/** `/openapi/v3`: where the documents are. */
export function openApiIndex(registry: Registry, models: ModelSchemas): JsonObject {
  const paths: MutableJsonObject = {};
  for (const { group, versions } of registry.groups()) {
    for (const version of versions) {
      const path = group === '' ? `api/${version}` : `apis/${group}/${version}`;
      const document = JSON.stringify(openApiDocument(registry, models, { group, version }));
      const hash = createHash('sha256').update(document).digest('hex').toUpperCase();
      paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` };
    }
  }
  return { paths };
}

/** `/openapi/v3/apis/<group>/<version>`: the schemas and paths of a group version. */
export function openApiDocument(
  registry: Registry,
  models: ModelSchemas,
  groupVersion: { group: string; version: string },
): JsonObject {
  const components = new Components(models);
  const paths: MutableJsonObject = {};
  for (const definition of registry.ofGroupVersion(groupVersion.group, groupVersion.version)) {
    const name = components.addKind(definition);
    Object.assign(paths, pathsOf(definition, { $ref: `#/components/schemas/${name}` }));
  }
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: 'v1.36.0' },
    paths,
    components: { schemas: components.schemas },
  };
}

/** Collects schemas, each model once, nested models by reference. */
class Components {
  readonly schemas: MutableJsonObject = {};
  readonly #models: ModelSchemas;

  constructor(models: ModelSchemas) {
    this.#models = models;
  }

  addKind(definition: ResourceDefinition): string {
    const { group, version, kind } = definition;
    const name = `${formatApiVersion(definition).replaceAll('/', '.')}.${kind}`;
    this.schemas[name] = {
      ...this.#translate(definition.schema, true),
      'x-kubernetes-group-version-kind': [{ group, version, kind }],
    };
    return name;
  }

  #translate(schema: Schema, isRoot = false): JsonObject {
    const model = this.#models.nameOf(schema);
    if (model !== undefined && !isRoot) return this.#reference(model, schema);
    const result: MutableJsonObject = {};
    for (const [member, value] of Object.entries(schema)) {
      if (value !== undefined) result[member] = this.#translateMember(member, value);
    }
    return result;
  }

  #translateMember(member: string, value: Json): Json {
    if (member === 'properties' && isObject(value)) {
      return Object.fromEntries(
        Object.entries(value).map(([name, inner]) => [name, this.#translate(inner as Schema)]),
      );
    }
    const isSchema = (member === 'items' || member === 'additionalProperties') && isObject(value);
    return isSchema ? this.#translate(value) : value;
  }

  #reference(model: string, schema: Schema): JsonObject {
    const name = `io.k8s.v1.${model.replace(/^(Core|Events)?V1/, '')}`;
    if (this.schemas[name] === undefined) {
      this.schemas[name] = {};
      this.schemas[name] = this.#translate(schema, true);
    }
    return { allOf: [{ $ref: `#/components/schemas/${name}` }] };
  }
}

function pathsOf(definition: ResourceDefinition, schema: JsonObject): JsonObject {
  const { group, version, kind, resource, isNamespaced } = definition;
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  const collection = `${root}${isNamespaced ? '/namespaces/{namespace}' : ''}/${resource}`;
  const operation = (action: string, contentTypes?: readonly string[]): JsonObject => ({
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': { group, version, kind },
    parameters: writeActions.has(action) ? writeParameters : [],
    ...(contentTypes === undefined ? {} : { requestBody: bodyOf(contentTypes, schema) }),
    responses: { '200': { description: 'OK', content: { 'application/json': { schema } } } },
  });
  return {
    [collection]: {
      get: operation('list'),
      post: operation('post', ['application/json']),
    },
    [`${collection}/{name}`]: {
      get: operation('get'),
      put: operation('put', ['application/json']),
      patch: operation('patch', patchTypesOf(definition)),
      delete: operation('delete'),
    },
  };
}

const writeActions: ReadonlySet<string> = new Set(['post', 'put', 'patch']);

const writeParameters: Json = ['dryRun', 'fieldManager', 'fieldValidation'].map((name) => ({
  name,
  in: 'query',
  schema: { type: 'string', uniqueItems: true },
}));

function bodyOf(contentTypes: readonly string[], schema: JsonObject): JsonObject {
  return { content: Object.fromEntries(contentTypes.map((type) => [type, { schema }])) };
}
