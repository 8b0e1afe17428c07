/**
 * Deleting objects. An object with finalizers is only marked; it goes when an update leaves it without any.
 * What depends on it is the garbage collector's: the propagation policy becomes a finalizer that the
 * collector serves (`foregroundDeletion`, `orphan`).
 */
import { badRequest, conflict, invalid } from '../objects/api-error.ts';
import { notSupported } from '../objects/field-errors.ts';
import { finalizersOf, formatTime, isTerminating, type ApiObject } from '../objects/api-object.ts';
import { asList, asObject, asString, isObject, type Json } from '../objects/json.ts';
import { clusterView, type ObjectTarget, type ServerState } from './server-state.ts';
import { getObject, putObject, removeObject } from './stored-objects.ts';

/** Finalizers that stand for a propagation policy. */
export const propagationFinalizers = {
  foreground: 'foregroundDeletion',
  orphan: 'orphan',
} as const;

/** How to delete (metav1.DeleteOptions). */
export interface DeleteOptions {
  readonly propagationPolicy: 'Background' | 'Foreground' | 'Orphan';
  readonly uid: string | undefined;
  readonly resourceVersion: string | undefined;
  readonly isDryRun: boolean;
}

/** Deletion without conditions, dependents in the background. */
export const defaultDeleteOptions: DeleteOptions = {
  propagationPolicy: 'Background',
  uid: undefined,
  resourceVersion: undefined,
  isDryRun: false,
};

/** Reads the options of a deletion from body and query; the body wins. */
export function parseDeleteOptions(body: Json | undefined, query: URLSearchParams): DeleteOptions {
  const given = asObject(body);
  if (body !== undefined && body !== null && !isObject(body)) {
    throw badRequest('the body of a DELETE must be a DeleteOptions object');
  }
  const isOrphaning =
    given['orphanDependents'] === true || query.get('orphanDependents') === 'true';
  const policy =
    asString(given['propagationPolicy']) ??
    query.get('propagationPolicy') ??
    (isOrphaning ? 'Orphan' : 'Background');
  if (policy !== 'Background' && policy !== 'Foreground' && policy !== 'Orphan') {
    const supported = ['Foreground', 'Background', 'Orphan', 'nil'];
    throw invalid({ group: 'meta.k8s.io', kind: 'DeleteOptions' }, '', [
      notSupported('propagationPolicy', policy, supported),
    ]);
  }
  const preconditions = asObject(given['preconditions']);
  return {
    propagationPolicy: policy,
    uid: asString(preconditions['uid']),
    resourceVersion: asString(preconditions['resourceVersion']),
    isDryRun: asList(given['dryRun']).length > 0 || query.has('dryRun'),
  };
}

/** What came of a deletion. */
export interface Deletion {
  readonly object: ApiObject;
  /** False while finalizers hold the object. */
  readonly isGone: boolean;
}

/** Deletes an object, or begins to. */
export function deleteObject(
  state: ServerState,
  target: ObjectTarget,
  options: DeleteOptions,
): Deletion {
  const { definition } = target;
  const object = getObject(state, target);
  checkPreconditions(target, object, options);
  definition.rules.beforeDelete?.(object, clusterView(state));
  const finalizers = finalizersAtDeletion(target, object, options);
  const isHeld = finalizers.length > 0 || holdsNamespace(object);
  if (options.isDryRun) return { object, isGone: !isHeld };
  if (!isHeld) {
    const marked = isTerminating(object) ? object : markDeleted(state, target, object, finalizers);
    return { object: removeObject(state, definition, marked), isGone: true };
  }
  if (isTerminating(object) && finalizers.length === finalizersOf(object).length) {
    return { object, isGone: false };
  }
  const marked = markDeleted(state, target, object, finalizers);
  return { object: putObject(state, definition, marked), isGone: false };
}

function checkPreconditions(
  target: ObjectTarget,
  object: ApiObject,
  { uid, resourceVersion }: DeleteOptions,
): void {
  const { metadata } = object;
  const { group, kind } = target.definition;
  const refuse = (what: string, wanted: string, found: string): never => {
    const why =
      `the ${what} in the precondition (${wanted}) does not match the ${what} in record (${found}). ` +
      `The object might have been ${what === 'UID' ? 'deleted and then recreated' : 'modified'}`;
    throw conflict({ group, resource: kind }, target.name, why);
  };
  if (uid !== undefined && uid !== metadata.uid) refuse('UID', uid, metadata.uid);
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
    refuse('ResourceVersion', resourceVersion, metadata.resourceVersion);
  }
}

function finalizersAtDeletion(
  { definition }: ObjectTarget,
  object: ApiObject,
  { propagationPolicy }: DeleteOptions,
): string[] {
  const { foreground, orphan } = propagationFinalizers;
  const kept = finalizersOf(object).filter((each) => each !== foreground && each !== orphan);
  if (propagationPolicy === 'Foreground') kept.push(foreground);
  if (propagationPolicy === 'Orphan') kept.push(orphan);
  if (!isTerminating(object)) {
    for (const each of definition.rules.deletionFinalizers ?? []) {
      if (!kept.includes(each)) kept.push(each);
    }
  }
  return kept;
}

/** A namespace keeps its finalizer in its specification. */
function holdsNamespace(object: ApiObject): boolean {
  if (object.kind !== 'Namespace' || object.apiVersion !== 'v1') return false;
  return asList(asObject(object['spec'])['finalizers']).length > 0;
}

function markDeleted(
  state: ServerState,
  { definition }: ObjectTarget,
  object: ApiObject,
  finalizers: readonly string[],
): ApiObject {
  const { finalizers: _replaced, ...metadata } = object.metadata;
  const isFirst = !isTerminating(object);
  const generation =
    isFirst && definition.rules.tracksGeneration === true
      ? { generation: (object.metadata.generation ?? 0) + 1 }
      : {};
  const marked = {
    ...object,
    metadata: {
      ...metadata,
      ...generation,
      deletionTimestamp: object.metadata.deletionTimestamp ?? formatTime(state.now()),
      deletionGracePeriodSeconds: 0,
      ...(finalizers.length === 0 ? {} : { finalizers }),
    },
  } as unknown as ApiObject;
  const isNamespace = object.kind === 'Namespace' && object.apiVersion === 'v1';
  if (!isNamespace) return marked;
  return { ...marked, status: { ...asObject(marked['status']), phase: 'Terminating' } };
}
