/** Reading objects: lists with selectors, pages and resource versions. */
import { badRequest, expired } from '../objects/api-error.ts';
import type { ApiObject } from '../objects/api-object.ts';
import { createFieldSelector, parseLabelSelector, type Selector } from '../objects/selectors.ts';
import type { ResourceDefinition } from '../registry/resource-definition.ts';
import { objectKey } from '../storage/change.ts';
import type { Collection } from './create.ts';
import type { ServerState } from './server-state.ts';
import { toServed } from './stored-objects.ts';

/** One page of a list. */
export interface Page {
  readonly items: readonly ApiObject[];
  readonly resourceVersion: string;
  /** Where the next page begins; undefined on the last page. */
  readonly continueToken: string | undefined;
  readonly remainingItemCount: number | undefined;
}

/** Makes the selector of a query. */
export function parseSelector(definition: ResourceDefinition, query: URLSearchParams): Selector {
  const labels = query.get('labelSelector') ?? '';
  const fields = query.get('fieldSelector') ?? '';
  const byLabel = labels === '' ? undefined : parseLabelSelector(labels);
  const byField =
    fields === '' ? undefined : createFieldSelector(fields, definition.selectableFields);
  return (object) => (byLabel?.(object) ?? true) && (byField?.(object) ?? true);
}

/** Reads a resource version of a query; undefined if none is given. */
export function parseResourceVersion(query: URLSearchParams): number | undefined {
  const text = query.get('resourceVersion') ?? '';
  if (text === '') return undefined;
  if (!/^\d{1,15}$/.test(text)) {
    throw badRequest(
      `invalid resource version ${JSON.stringify(text)}: a decimal number is wanted`,
    );
  }
  return Number(text);
}

interface ContinuePoint {
  readonly revision: number;
  readonly afterKey: string;
}

/** Lists a collection as the query asks. */
export function listObjects(
  state: ServerState,
  { definition, namespace }: Collection,
  query: URLSearchParams,
): Page {
  const selector = parseSelector(definition, query);
  const point = parseContinue(query.get('continue') ?? '');
  const revision = point?.revision ?? revisionToList(state, query);
  const stored = state.store.listAt(definition.storageKey, revision, namespace);
  const selected = stored
    .map((object) => toServed(definition, object))
    .filter((object) => selector(object));
  const rest =
    point === undefined ? selected : selected.filter((object) => keyOf(object) > point.afterKey);
  const limit = Number(query.get('limit') ?? 0);
  const isWhole = !(limit > 0) || rest.length <= limit;
  const items = isWhole ? rest : rest.slice(0, limit);
  const last = items.at(-1);
  const isFiltered = (query.get('labelSelector') ?? '') + (query.get('fieldSelector') ?? '') !== '';
  return {
    items,
    resourceVersion: String(revision),
    continueToken:
      isWhole || last === undefined
        ? undefined
        : formatContinue({ revision, afterKey: keyOf(last) }),
    remainingItemCount: isWhole || isFiltered ? undefined : rest.length - items.length,
  };
}

function keyOf(object: ApiObject): string {
  return objectKey(object.metadata.namespace, object.metadata.name);
}

/** The newest state satisfies every version that has been; only `Exact` asks for an old one. */
function revisionToList(state: ServerState, query: URLSearchParams): number {
  const asked = parseResourceVersion(query);
  const match = query.get('resourceVersionMatch') ?? '';
  if (match !== '' && asked === undefined) {
    throw badRequest('resourceVersionMatch is forbidden unless resourceVersion is provided');
  }
  if (asked === undefined || asked === 0) return state.store.revision;
  if (asked > state.store.revision) {
    throw expired(`Too large resource version: ${asked}, current: ${state.store.revision}`);
  }
  return match === 'Exact' ? asked : state.store.revision;
}

function formatContinue(point: ContinuePoint): string {
  return Buffer.from(JSON.stringify({ v: 1, ...point })).toString('base64url');
}

function parseContinue(token: string): ContinuePoint | undefined {
  if (token === '') return undefined;
  try {
    const point = JSON.parse(Buffer.from(token, 'base64url').toString()) as Record<string, unknown>;
    const { revision, afterKey } = point;
    if (typeof revision === 'number' && typeof afterKey === 'string') return { revision, afterKey };
  } catch {
    // Falls through to the refusal: whatever is wrong with the token, the client did not get it here.
  }
  throw badRequest(`continue key is not valid: ${JSON.stringify(token)}`);
}
