/** What all built-in kinds have in common, so that each states only what is its own. */
import { asString, readPath, type JsonObject, textOf } from '../../objects/json.ts';
import type { ModelSchemas } from '../../schema/model-schemas.ts';
import { ageColumn, nameColumn } from '../columns.ts';
import {
  storageKeyOf,
  type Conversion,
  type KindRules,
  type PrinterColumn,
  type ResourceDefinition,
} from '../resource-definition.ts';

/** What a built-in kind states of itself; everything else has a default. */
export interface BuiltInKind {
  readonly group?: string;
  readonly version?: string;
  readonly resource: string;
  readonly kind: string;
  readonly model: string;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly isClusterScoped?: boolean;
  readonly hasStatus?: boolean;
  readonly refusedSubresources?: Readonly<Record<string, string>>;
  readonly storageKey?: string;
  readonly conversion?: Conversion;
  /** Columns between name and age. */
  readonly columns?: readonly PrinterColumn[];
  readonly trailingColumns?: readonly PrinterColumn[];
  readonly nameColumn?: PrinterColumn;
  /** For kinds whose rows neither begin with the name nor end with the age. */
  readonly allColumns?: readonly PrinterColumn[];
  /** Fields that field selectors may name, beyond name and namespace: dotted paths. */
  readonly selectableFields?: readonly string[];
  readonly selectableReaders?: Readonly<Record<string, (object: JsonObject) => string>>;
  readonly rules?: KindRules;
}

/** Reads the text at a dotted path, as field selectors compare it; '' where there is none. */
export function fieldReader(path: string): (object: JsonObject) => string {
  const members = path.split('.');
  return (object) => {
    const value = readPath(object, ...members);
    return value === undefined || value === null ? '' : textOf(value);
  };
}

/** The readers of the fields that every kind offers to field selectors. */
export function commonSelectableFields(
  isNamespaced: boolean,
): [string, (object: JsonObject) => string][] {
  const fields = isNamespaced ? ['metadata.name', 'metadata.namespace'] : ['metadata.name'];
  return fields.map((field) => [field, fieldReader(field)]);
}

/** Makes the definition of a built-in kind. */
export function builtInResource(models: ModelSchemas, kind: BuiltInKind): ResourceDefinition {
  const group = kind.group ?? '';
  const isNamespaced = kind.isClusterScoped !== true;
  return {
    group,
    version: kind.version ?? 'v1',
    resource: kind.resource,
    singular: kind.kind.toLowerCase(),
    kind: kind.kind,
    listKind: `${kind.kind}List`,
    shortNames: kind.shortNames ?? [],
    categories: kind.categories ?? [],
    isNamespaced,
    isCustom: false,
    hasStatus: kind.hasStatus ?? false,
    refusedSubresources: kind.refusedSubresources ?? {},
    storageKey: kind.storageKey ?? storageKeyOf(group, kind.resource),
    ...(kind.conversion === undefined ? {} : { conversion: kind.conversion }),
    schema: models.get(kind.model),
    columns: kind.allColumns ?? [
      kind.nameColumn ?? nameColumn,
      ...(kind.columns ?? []),
      ageColumn,
      ...(kind.trailingColumns ?? []),
    ],
    selectableFields: new Map([
      ...commonSelectableFields(isNamespaced),
      ...(kind.selectableFields ?? []).map((field) => [field, fieldReader(field)] as const),
      ...Object.entries(kind.selectableReaders ?? {}),
    ]),
    rules: kind.rules ?? {},
  };
}

/** The text at a path, '' where there is none. */
export function textAt(object: JsonObject, ...path: readonly string[]): string {
  return asString(readPath(object, ...path)) ?? '';
}
