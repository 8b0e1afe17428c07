/** Rules of `metadata`, the same for every kind. */
import type { FieldError } from '../objects/api-error.ts';
import { finalizersOf, isTerminating, ownersOf, type ApiObject } from '../objects/api-object.ts';
import {
  forbiddenField,
  immutable,
  invalidValue,
  required,
  tooLong,
} from '../objects/field-errors.ts';
import { asObject, isObject, type Json, type JsonObject, textOf } from '../objects/json.ts';
import { labelValueError, qualifiedNameError, subdomainError } from '../objects/names.ts';
import type { KindRules } from '../registry/resource-definition.ts';

/** Annotations of an object may take so much in all, as in Kubernetes. */
const annotationsBytesMax = 256 * 1024;

/** What is wrong with the metadata of an object that is new or changed. */
export function validateMetadata(object: ApiObject, rules: KindRules): FieldError[] {
  const { metadata } = object;
  const errors: FieldError[] = [];
  const nameError = (rules.nameError ?? subdomainError)(metadata.name);
  if (nameError !== undefined) errors.push(invalidValue('metadata.name', metadata.name, nameError));
  errors.push(
    ...validateStringMap(metadata.labels, 'metadata.labels', labelValueError),
    ...validateStringMap(metadata.annotations, 'metadata.annotations', () => undefined),
    ...validateAnnotationSize(metadata.annotations),
    ...validateFinalizers(metadata['finalizers']),
    ...validateOwners(object),
  );
  return errors;
}

function validateStringMap(
  map: Json | undefined,
  path: string,
  valueError: (value: string) => string | undefined,
): FieldError[] {
  if (map === undefined) return [];
  if (!isObject(map)) return [invalidValue(path, map, 'must be a map of strings')];
  return Object.entries(map).flatMap(([key, value]) => {
    const keyError = qualifiedNameError(path.endsWith('annotations') ? key.toLowerCase() : key);
    const errors = keyError === undefined ? [] : [invalidValue(path, key, keyError)];
    if (typeof value !== 'string') {
      return [...errors, invalidValue(`${path}[${key}]`, value, 'must be a string')];
    }
    const error = valueError(value);
    return error === undefined ? errors : [...errors, invalidValue(path, value, error)];
  });
}

function validateAnnotationSize(annotations: Json | undefined): FieldError[] {
  const sizeBytes = Object.entries(asObject(annotations)).reduce(
    (sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(textOf(value)),
    0,
  );
  return sizeBytes > annotationsBytesMax
    ? [tooLong('metadata.annotations', annotationsBytesMax)]
    : [];
}

function validateFinalizers(finalizers: Json | undefined): FieldError[] {
  if (finalizers === undefined) return [];
  if (!Array.isArray(finalizers)) {
    return [invalidValue('metadata.finalizers', finalizers, 'must be a list of strings')];
  }
  return finalizers.flatMap((finalizer: unknown) => {
    if (typeof finalizer !== 'string') {
      return [invalidValue('metadata.finalizers', finalizer, 'must be a string')];
    }
    const error = qualifiedNameError(finalizer);
    return error === undefined ? [] : [invalidValue('metadata.finalizers', finalizer, error)];
  });
}

function validateOwners(object: ApiObject): FieldError[] {
  const errors: FieldError[] = [];
  let controllerName: string | undefined;
  ownersOf(object).forEach((owner, index) => {
    const path = `metadata.ownerReferences[${index}]`;
    for (const member of ['apiVersion', 'kind', 'name', 'uid'] as const) {
      if (typeof owner[member] !== 'string' || owner[member] === '') {
        errors.push(required(`${path}.${member}`, `${member} must not be empty`));
      }
    }
    if (owner.controller !== true) return;
    if (controllerName !== undefined) {
      const names = `${controllerName} and ${owner.name}`;
      const detail = `Only one reference can have Controller set to true. Found "true" in references for ${names}`;
      errors.push(invalidValue('metadata.ownerReferences', owner, detail));
    }
    controllerName = owner.name;
  });
  return errors;
}

/** What an update may not do to metadata. */
export function validateMetadataUpdate(object: ApiObject, previous: ApiObject): FieldError[] {
  const errors: FieldError[] = [];
  if (object.metadata.name !== previous.metadata.name) {
    errors.push(immutable('metadata.name', object.metadata.name));
  }
  if (object.metadata.namespace !== previous.metadata.namespace) {
    errors.push(immutable('metadata.namespace', object.metadata.namespace ?? ''));
  }
  if (object.metadata.uid !== previous.metadata.uid) {
    errors.push(immutable('metadata.uid', object.metadata.uid));
  }
  if (isTerminating(previous)) {
    const known = new Set(finalizersOf(previous));
    const added = finalizersOf(object).filter((finalizer) => !known.has(finalizer));
    if (added.length > 0) {
      const listed = added.map((finalizer) => JSON.stringify(finalizer)).join(', ');
      errors.push(
        forbiddenField(
          'metadata.finalizers',
          `no new finalizers can be added if the object is being deleted, found new finalizers []string{${listed}}`,
        ),
      );
    }
  }
  return errors;
}

/** Drops members that stand for nothing, so that equal objects look equal: empty maps and lists in metadata. */
export function withoutEmptyMembers(metadata: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(metadata).filter(([member, value]) => {
      if (Array.isArray(value)) return value.length > 0;
      if (isObject(value)) return Object.keys(value).length > 0;
      return value !== undefined && (value !== '' || member === 'name');
    }),
  );
}
