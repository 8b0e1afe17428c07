/** Objects as a table (meta.k8s.io/v1 Table): what `kubectl get` prints. */
import type { ApiObject } from '../objects/api-object.ts';
import type { Json, JsonObject } from '../objects/json.ts';
import type { ResourceDefinition } from '../registry/resource-definition.ts';

/** How much of each object the rows carry. */
export type IncludeObject = 'None' | 'Metadata' | 'Object';

/** What a table is made of. */
export interface TableContents {
  readonly definition: ResourceDefinition;
  readonly objects: readonly ApiObject[];
  readonly includeObject: IncludeObject;
  readonly now: Date;
  readonly listMetadata: JsonObject;
  /** Watches state the columns with their first event only. */
  readonly hasColumns: boolean;
}

/** Makes the table. */
export function formatTable(contents: TableContents): JsonObject {
  const { definition, objects, listMetadata, hasColumns } = contents;
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: listMetadata,
    columnDefinitions: hasColumns
      ? definition.columns.map((column) => ({
          name: column.name,
          type: column.type,
          format: column.format ?? '',
          description: column.description ?? '',
          priority: column.priority ?? 0,
        }))
      : null,
    rows: objects.map((object) => formatRow(contents, object)),
  };
}

function formatRow(
  { definition, includeObject, now }: TableContents,
  object: ApiObject,
): JsonObject {
  const cells: Json[] = definition.columns.map((column) => column.cell(object, now));
  if (includeObject === 'None') return { cells, object: null };
  return { cells, object: includeObject === 'Object' ? object : partialMetadata(object) };
}

/** The object reduced to its metadata (meta.k8s.io/v1 PartialObjectMetadata). */
export function partialMetadata(object: ApiObject): JsonObject {
  return {
    kind: 'PartialObjectMetadata',
    apiVersion: 'meta.k8s.io/v1',
    metadata: object.metadata,
  };
}
