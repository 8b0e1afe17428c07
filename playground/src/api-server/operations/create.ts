/** Creating objects. */
import { randomBytes, randomUUID } from 'node:crypto';
import {
  alreadyExists,
  ApiError,
  badRequest,
  forbidden,
  invalid,
  notFound,
} from '../objects/api-error.ts';
import { formatTime, isTerminating, type ApiObject } from '../objects/api-object.ts';
import { required } from '../objects/field-errors.ts';
import { asString, type Json, textOf } from '../objects/json.ts';
import { generateNameAttemptsMax } from '../limits.ts';
import type { DraftObject, ResourceDefinition } from '../registry/resource-definition.ts';
import { objectKey } from '../storage/change.ts';
import { checkSchema, decodeObject } from './decode.ts';
import { managersOfNew, withManagers } from './field-ownership.ts';
import { validateMetadata, withoutEmptyMembers } from './metadata.ts';
import { clusterView, type ServerState, type WriteOptions } from './server-state.ts';
import { putObject } from './stored-objects.ts';
import { checkRules } from './check-rules.ts';

/** Letters and digits of generated names: those that form no words and are not mistaken for each other. */
const suffixAlphabet = 'bcdfghjklmnpqrstvwxz2456789';
const suffixLength = 5;
const generatedBaseLengthMax = 58;

/** Where a new object goes. */
export interface Collection {
  readonly definition: ResourceDefinition;
  readonly namespace: string | undefined;
}

/** Creates an object from the body of a request; returns it as stored. */
export function createObject(
  state: ServerState,
  collection: Collection,
  body: Json,
  options: WriteOptions,
): ApiObject {
  const { definition } = collection;
  const draft = decodeObject(definition, body, options);
  placeInNamespace(draft, collection);
  nameDraft(state, collection, draft);
  checkNamespace(state, collection, draft);
  beginLife(state, collection, draft);
  if (definition.hasStatus && definition.isCustom) delete draft['status'];
  const managers = managersOfNew(state, definition, draft, options);
  definition.rules.prepareCreate?.(draft, clusterView(state));
  const object = { ...draft, metadata: withoutEmptyMembers(draft.metadata) } as ApiObject;
  checkNewObject(state, definition, object);
  options.warnings.push(...(definition.rules.warnings?.(object) ?? []));
  const key = objectKey(object.metadata.namespace, object.metadata.name);
  if (state.store.get(definition.storageKey, key) !== undefined) {
    throw alreadyExists(definition, object.metadata.name);
  }
  const managed = withManagers(object, managers);
  return options.isDryRun ? managed : putObject(state, definition, managed);
}

function placeInNamespace(draft: DraftObject, { definition, namespace }: Collection): void {
  const given = asString(draft.metadata['namespace']) ?? '';
  if (!definition.isNamespaced) {
    delete draft.metadata['namespace'];
    return;
  }
  if (given !== '' && given !== namespace) {
    throw badRequest(
      `the namespace of the provided object does not match the namespace sent on the request`,
    );
  }
  draft.metadata['namespace'] = namespace;
}

function nameDraft(state: ServerState, collection: Collection, draft: DraftObject): void {
  const { definition, namespace } = collection;
  const name = asString(draft.metadata['name']) ?? '';
  if (name !== '') return;
  const base = asString(draft.metadata['generateName']) ?? '';
  if (base === '') {
    throw invalid(definition, '', [required('metadata.name', 'name or generateName is required')]);
  }
  for (let attempt = 0; attempt < generateNameAttemptsMax; attempt++) {
    const candidate = `${base.slice(0, generatedBaseLengthMax)}${randomSuffix()}`;
    if (state.store.get(definition.storageKey, objectKey(namespace, candidate)) === undefined) {
      draft.metadata['name'] = candidate;
      return;
    }
  }
  throw alreadyExists(definition, base);
}

function randomSuffix(): string {
  return [...randomBytes(suffixLength)]
    .map((byte) => suffixAlphabet[byte % suffixAlphabet.length] ?? '')
    .join('');
}

/** Only namespaces that exist, and are not being deleted, take new objects. */
function checkNamespace(
  state: ServerState,
  { definition, namespace }: Collection,
  draft: DraftObject,
): void {
  if (!definition.isNamespaced || namespace === undefined) return;
  const found = state.store.get('namespaces', namespace);
  if (found === undefined) throw notFound({ group: '', resource: 'namespaces' }, namespace);
  if (!isTerminating(found)) return;
  const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
  throw forbidden(definition, textOf(draft.metadata['name']), why, {
    causes: [
      {
        reason: 'NamespaceTerminating',
        message: `namespace ${namespace} is being terminated`,
        field: 'metadata.namespace',
      },
    ],
  });
}

function beginLife(state: ServerState, { definition }: Collection, draft: DraftObject): void {
  const { metadata } = draft;
  const given = asString(metadata['resourceVersion']) ?? '';
  if (given !== '' && given !== '0') {
    const message = 'resourceVersion should not be set on objects to be created';
    throw new ApiError({ code: 500, reason: '', message });
  }
  for (const member of [
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
    'selfLink',
    'generation',
  ]) {
    delete metadata[member];
  }
  metadata['uid'] = randomUUID();
  metadata['resourceVersion'] = '';
  metadata['creationTimestamp'] = formatTime(state.now());
  if (definition.rules.tracksGeneration === true) metadata['generation'] = 1;
}

function checkNewObject(
  state: ServerState,
  definition: ResourceDefinition,
  object: ApiObject,
): void {
  const schemaErrors = checkSchema(definition, object);
  const errors = [
    ...validateMetadata(object, definition.rules),
    ...schemaErrors,
    ...checkRules(definition, { object, previous: undefined, schemaErrors }),
  ];
  // A kind's own rules read fields by their types: they are asked only about objects whose schema holds.
  if (errors.length === 0) {
    errors.push(...(definition.rules.validate?.(object, clusterView(state)) ?? []));
  }
  if (errors.length > 0) throw invalid(definition, object.metadata.name, errors);
}

/** Whether an error says that the object is there already. */
export function isAlreadyExists(error: unknown): boolean {
  return error instanceof ApiError && error.reason === 'AlreadyExists';
}
