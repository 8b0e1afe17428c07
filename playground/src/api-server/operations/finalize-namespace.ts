/** `namespaces/<name>/finalize`: the only way to change the finalizers of a namespace; the last one lets it go. */
import type { ApiObject } from '../objects/api-object.ts';
import { isTerminating } from '../objects/api-object.ts';
import { asList, readPath, type Json } from '../objects/json.ts';
import type { ObjectTarget, ServerState } from './server-state.ts';
import { getObject, putObject, removeObject } from './stored-objects.ts';

/** Sets the finalizers in the specification of a namespace to those of the body. */
export function finalizeNamespace(state: ServerState, target: ObjectTarget, body: Json): ApiObject {
  const namespace = getObject(state, target);
  const finalizers = asList(readPath(body, 'spec', 'finalizers'));
  const spec = finalizers.length === 0 ? {} : { finalizers };
  const changed = { ...namespace, spec };
  const isHeld = finalizers.length > 0 || (namespace.metadata.finalizers ?? []).length > 0;
  if (isTerminating(namespace) && !isHeld) return removeObject(state, target.definition, changed);
  return putObject(state, target.definition, changed);
}
