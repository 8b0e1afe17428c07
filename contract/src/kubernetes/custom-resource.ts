/**
 * From a zod schema to a CustomResourceDefinition. The API server accepts structural schemas only, so what
 * zod says is cut down to that: `structural-schema.ts` checks the result. What zod cannot say to the API
 * server (refinements are dropped without a word) is a CEL rule in `meta`.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';

/** A column of `kubectl get`. Priority 1 shows it in `-o wide` only. */
export interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'boolean' | 'date';
  readonly jsonPath: string;
  readonly description?: string;
  readonly priority?: 0 | 1;
}

/** A custom resource as we define it: one version, served and stored. */
export interface CustomResource {
  readonly group: string;
  readonly version: string;
  readonly scope: 'Namespaced' | 'Cluster';
  readonly names: {
    readonly kind: string;
    readonly plural: string;
    readonly singular: string;
    readonly shortNames?: readonly string[];
    readonly categories?: readonly string[];
  };
  readonly description: string;
  /** Everything but apiVersion, kind and metadata. */
  readonly shape: Readonly<Record<string, z.ZodType>>;
  readonly hasStatus: boolean;
  readonly columns: readonly PrinterColumn[];
  /** Goes up with every change of the schema: an older operator never puts an older schema back. */
  readonly revision: number;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Marks the definitions that the operator may change: it never touches one without it. */
export const managedByLabel = {
  key: 'app.kubernetes.io/managed-by',
  value: 'varve-operator',
} as const;

/** Annotations by which the operator sees whether a definition in the cluster is older than its own. */
export const definitionAnnotations = {
  revision: 'varve.dev/definition-revision',
  hash: 'varve.dev/definition-hash',
} as const;

/** JSON schema as we handle it: plain data. */
export type JsonSchema = { readonly [key: string]: unknown };

/** A CustomResourceDefinition, ready to be written as YAML or sent to an API server. */
export interface CustomResourceManifest {
  readonly apiVersion: 'apiextensions.k8s.io/v1';
  readonly kind: 'CustomResourceDefinition';
  readonly metadata: {
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly spec: { readonly versions: readonly JsonSchema[]; readonly [key: string]: unknown };
}

/** The definition of a custom resource. The same input gives the same output, byte for byte. */
export function createCustomResourceManifest(resource: CustomResource): CustomResourceManifest {
  const { group, names, version, columns } = resource;
  const spec = {
    group,
    names: {
      kind: names.kind,
      listKind: `${names.kind}List`,
      plural: names.plural,
      singular: names.singular,
      ...(names.shortNames === undefined ? {} : { shortNames: names.shortNames }),
      ...(names.categories === undefined ? {} : { categories: names.categories }),
    },
    scope: resource.scope,
    versions: [
      {
        name: version,
        served: true,
        storage: true,
        additionalPrinterColumns: columns,
        schema: { openAPIV3Schema: openApiSchemaOf(resource) },
        ...(resource.hasStatus ? { subresources: { status: {} } } : {}),
      },
    ],
  };
  const hash = createHash('sha256').update(JSON.stringify(spec)).digest('hex').slice(0, 16);
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${names.plural}.${group}`,
      labels: { [managedByLabel.key]: managedByLabel.value, 'app.kubernetes.io/part-of': 'varve' },
      annotations: {
        ...resource.annotations,
        [definitionAnnotations.revision]: String(resource.revision),
        [definitionAnnotations.hash]: hash,
      },
    },
    spec,
  };
}

function openApiSchemaOf(resource: CustomResource): JsonSchema {
  const own = z.toJSONSchema(z.object(resource.shape), {
    target: 'openapi-3.0',
    io: 'input',
    reused: 'inline',
    cycles: 'throw',
  });
  const { properties, required } = structuralSchema(own);
  return {
    type: 'object',
    description: resource.description,
    ...(required === undefined ? {} : { required }),
    properties: {
      apiVersion: {
        type: 'string',
        description: 'The versioned schema of this representation of an object.',
      },
      kind: { type: 'string', description: 'The kind of REST resource that this object is.' },
      metadata: { type: 'object' },
      ...(properties as JsonSchema),
    },
  };
}

/** Formats whose pattern zod spells out at length, while the API server knows them by name. */
const namedFormats = ['date-time', 'uuid'];

/** Cuts what zod adds and a structural schema does not want. */
function structuralSchema(schema: JsonSchema): JsonSchema {
  const result: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(schema)) {
    if (key === '$schema' || key === 'id') continue;
    if (key === 'pattern' && namedFormats.includes(String(schema['format']))) continue;
    // zod's bounds of a safe integer: an int64 may lie outside.
    if (key === 'maximum' && value === Number.MAX_SAFE_INTEGER) continue;
    if (key === 'minimum' && value === Number.MIN_SAFE_INTEGER) continue;
    result[key] = structuralValue(key, value);
  }
  return result;
}

function structuralValue(key: string, value: unknown): unknown {
  if (key === 'properties') {
    return Object.fromEntries(
      Object.entries(value as JsonSchema).map(([name, inner]) => [
        name,
        structuralSchema(inner as JsonSchema),
      ]),
    );
  }
  if (key === 'anyOf') return (value as JsonSchema[]).map(structuralSchema);
  const isSchema = key === 'items' || key === 'additionalProperties';
  return isSchema && typeof value === 'object' ? structuralSchema(value as JsonSchema) : value;
}
