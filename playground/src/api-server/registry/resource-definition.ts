/** How a kind is served: its names, its schema, and the rules that are its own. */
import type { FieldError } from '../objects/api-error.ts';
import type { ApiObject } from '../objects/api-object.ts';
import type { Json, JsonObject, MutableJsonObject } from '../objects/json.ts';
import type { Schema } from '../schema/schema.ts';

/** A column of `kubectl get`. Priority 0 is always shown, above it only with `-o wide`. */
export interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  readonly format?: string;
  readonly description?: string;
  readonly priority?: number;
  /** The value of the cell; null prints as `<none>`. */
  readonly cell: (object: JsonObject, now: Date) => Json;
}

/** What rules may see of other objects. */
export interface ClusterView {
  readonly now: () => Date;
  get(storageKey: string, objectKey: string): ApiObject | undefined;
  list(storageKey: string, namespace?: string): readonly ApiObject[];
}

/** An object that a rule may still change. */
export type DraftObject = MutableJsonObject & { metadata: MutableJsonObject };

/**
 * What a kind does beyond its schema. `prepare...` fills in and corrects (defaults, admission), `validate...`
 * judges what came out. Both may throw an ApiError to refuse the request as admission does.
 */
export interface KindRules {
  /** What is wrong with a name; a DNS subdomain is wanted if absent. */
  readonly nameError?: (name: string) => string | undefined;
  /** Whether `metadata.generation` counts the changes of the specification. */
  readonly tracksGeneration?: boolean;
  /** Whether an update without resourceVersion is refused. */
  readonly needsResourceVersion?: boolean;
  /** Whether a deletion answers with the object rather than with a Status. */
  readonly returnsDeletedObject?: boolean;
  readonly prepareCreate?: (draft: DraftObject, cluster: ClusterView) => void;
  readonly prepareUpdate?: (draft: DraftObject, previous: ApiObject, cluster: ClusterView) => void;
  readonly validate?: (object: ApiObject, cluster: ClusterView) => readonly FieldError[];
  readonly validateUpdate?: (
    object: ApiObject,
    previous: ApiObject,
    cluster: ClusterView,
  ) => readonly FieldError[];
  /** Sentences that a client should read though the request was served. */
  readonly warnings?: (object: ApiObject) => readonly string[];
  /** Called before a deletion changes anything; may throw to refuse it. */
  readonly beforeDelete?: (object: ApiObject, cluster: ClusterView) => void;
  /** Finalizers that the server itself adds when a deletion begins. */
  readonly deletionFinalizers?: readonly string[];
}

/** Translates between the served and the stored form of a kind that has two. */
export interface Conversion {
  readonly toStored: (object: ApiObject) => ApiObject;
  readonly fromStored: (object: ApiObject) => ApiObject;
}

/** One kind in one version. */
export interface ResourceDefinition {
  readonly group: string;
  readonly version: string;
  /** Plural name, as in URLs. */
  readonly resource: string;
  readonly singular: string;
  readonly kind: string;
  readonly listKind: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly isNamespaced: boolean;
  /** Whether a CustomResourceDefinition made it: no strategic merge patch, status ignores metadata. */
  readonly isCustom: boolean;
  readonly hasStatus: boolean;
  /** Subresources that Kubernetes has and this server refuses, with the reason. */
  readonly refusedSubresources: Readonly<Record<string, string>>;
  /** Where its objects are stored; several definitions may share it. */
  readonly storageKey: string;
  readonly conversion?: Conversion;
  readonly schema: Schema;
  readonly columns: readonly PrinterColumn[];
  readonly selectableFields: ReadonlyMap<string, (object: JsonObject) => string>;
  readonly rules: KindRules;
}

/** How the objects of a definition are stored: under which name, whatever the version. */
export function storageKeyOf(group: string, resource: string): string {
  return group === '' ? resource : `${resource}.${group}`;
}
