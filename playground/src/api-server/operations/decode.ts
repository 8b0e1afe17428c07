/** From the body of a request to an object of the kind that its URL names: checked, pruned and with defaults. */
import { badRequest, type FieldError } from '../objects/api-error.ts';
import { formatApiVersion } from '../objects/api-object.ts';
import {
  asObject,
  isObject,
  type Json,
  type MutableJsonObject,
  textOf,
  withoutNulls,
} from '../objects/json.ts';
import type { DraftObject, ResourceDefinition } from '../registry/resource-definition.ts';
import { applyDefaults } from '../schema/default.ts';
import { pruneObject } from '../schema/prune.ts';
import { validateValue } from '../schema/validate.ts';
import type { WriteOptions } from './server-state.ts';

/** Members of metadata that the server reads; everything else in it is unknown. */
const metadataMembers: ReadonlySet<string> = new Set([
  'name',
  'generateName',
  'namespace',
  'selfLink',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'labels',
  'annotations',
  'ownerReferences',
  'finalizers',
  'managedFields',
]);

/** Decodes an object; a wrong apiVersion or kind is refused, unknown fields are treated as the options say. */
export function decodeObject(
  definition: ResourceDefinition,
  body: Json,
  options: WriteOptions,
): DraftObject {
  if (!isObject(body)) {
    throw badRequest(`the body of the request is no ${definition.kind} object`);
  }
  const apiVersion = formatApiVersion(definition);
  const given = {
    apiVersion: body['apiVersion'] ?? apiVersion,
    kind: body['kind'] ?? definition.kind,
  };
  if (given.apiVersion !== apiVersion || given.kind !== definition.kind) {
    throw badRequest(
      `the API version in the data (${textOf(given.apiVersion)}, Kind=${textOf(given.kind)}) does not ` +
        `match the expected API version (${apiVersion}, Kind=${definition.kind})`,
    );
  }
  const { value, unknownFields } = pruneObject(definition.schema, {
    // Go decodes null into a field's zero value: for a built-in kind it is the same as saying nothing.
    ...(definition.isCustom ? body : asObject(withoutNulls(body))),
    ...given,
  });
  const draft = value as MutableJsonObject;
  const { metadata, unknownMembers } = pruneMetadata(draft['metadata']);
  reportUnknown(definition, [...unknownFields, ...unknownMembers], options);
  return applyDefaults(definition.schema, { ...draft, metadata }) as DraftObject;
}

function pruneMetadata(value: Json | undefined): {
  metadata: MutableJsonObject;
  unknownMembers: string[];
} {
  if (value !== undefined && value !== null && !isObject(value)) {
    throw badRequest('metadata of the object must be an object');
  }
  const metadata: MutableJsonObject = {};
  const unknownMembers: string[] = [];
  for (const [member, each] of Object.entries(value ?? {})) {
    if (!metadataMembers.has(member)) unknownMembers.push(`metadata.${member}`);
    else if (each !== null) metadata[member] = each;
  }
  return { metadata, unknownMembers };
}

function reportUnknown(
  definition: ResourceDefinition,
  unknownFields: readonly string[],
  options: WriteOptions,
): void {
  if (unknownFields.length === 0 || options.fieldValidation === 'Ignore') return;
  const sentences = unknownFields.map((field) => `unknown field ${JSON.stringify(field)}`);
  if (options.fieldValidation === 'Warn') {
    options.warnings.push(...sentences);
    return;
  }
  throw badRequest(`${undecodable(definition)}: strict decoding error: ${sentences.join(', ')}`);
}

function undecodable({ kind, version }: ResourceDefinition): string {
  return `${kind} in version ${JSON.stringify(version)} cannot be handled as a ${kind}`;
}

/**
 * The ways in which an object breaks its schema. For a built-in kind a value of a wrong type cannot even be
 * decoded, which Kubernetes answers with 400; for a custom one it is a broken rule like any other.
 */
export function checkSchema(definition: ResourceDefinition, object: Json): FieldError[] {
  const errors = validateValue(definition.schema, object, '');
  const typeError = errors.find((error) => error.reason === 'FieldValueTypeInvalid');
  if (typeError !== undefined && !definition.isCustom) {
    throw badRequest(`${undecodable(definition)}: ${typeError.field}: ${typeError.message}`);
  }
  // Kubernetes checks the lists of built-in kinds by hand, and not all of them for duplicates.
  if (!definition.isCustom) return errors.filter(({ reason }) => reason !== 'FieldValueDuplicate');
  return errors;
}
