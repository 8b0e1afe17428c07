/**
 * JSON merge patch (RFC 7386): null deletes a member, an absent member is untouched, lists are replaced as a
 * whole.
 */
import { isObject, setMember, type Json, type MutableJsonObject } from './json.ts';

/** The document after the patch; neither argument changes. */
export function applyMergePatch(document: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch;
  const result: MutableJsonObject = isObject(document) ? { ...document } : {};
  for (const [member, value] of Object.entries(patch)) {
    if (value === undefined) continue;
    if (value === null) delete result[member];
    else setMember(result, member, applyMergePatch(result[member], value));
  }
  return result;
}
