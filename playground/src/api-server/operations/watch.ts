/**
 * Watching a collection: the changes of its objects as events, in the order of their revisions, without a gap
 * from where the client asked to begin. An object that begins or ceases to be selected is added or deleted,
 * as far as this watch is concerned.
 */
import { badRequest, expired } from '../objects/api-error.ts';
import type { ApiObject } from '../objects/api-object.ts';
import type { JsonObject } from '../objects/json.ts';
import type { Selector } from '../objects/selectors.ts';
import type { Change } from '../storage/change.ts';
import type { Collection } from './create.ts';
import { parseResourceVersion, parseSelector } from './read.ts';
import type { ServerState } from './server-state.ts';
import { toServed } from './stored-objects.ts';

/** One event of a watch. */
export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: JsonObject;
}

/** A watch that has been opened: what to send at once, and the way to hear the rest. */
export interface OpenedWatch {
  readonly initial: readonly WatchEvent[];
  /** Tells the events from now on; the result ends the watch. */
  readonly subscribe: (listener: (event: WatchEvent) => void) => () => void;
  /** A bookmark of the present revision. */
  readonly bookmark: () => WatchEvent;
}

/** Says that the initial events are over, on the bookmark that follows them (KEP-3157). */
const initialEventsEnd = { 'k8s.io/initial-events-end': 'true' };

/** Opens a watch as the query asks. Throws 410 where its resource version is not in the history. */
export function openWatch(
  state: ServerState,
  { definition, namespace }: Collection,
  query: URLSearchParams,
): OpenedWatch {
  const selector = parseSelector(definition, query);
  const toEvent = (change: Change): WatchEvent | undefined => {
    if (change.storageKey !== definition.storageKey) return undefined;
    if (namespace !== undefined && !change.objectKey.startsWith(`${namespace}/`)) return undefined;
    return selectEvent(change, selector, (stored) => toServed(definition, stored));
  };
  const bookmark = (annotations?: JsonObject): WatchEvent => ({
    type: 'BOOKMARK',
    object: bookmarkObject(
      { apiVersion: toServedVersion(definition), kind: definition.kind },
      state.store.revision,
      annotations,
    ),
  });
  return {
    initial: initialEvents(state, { definition, namespace }, query, {
      selector,
      toEvent,
      bookmark,
    }),
    subscribe: (listener) =>
      state.store.subscribe((change) => {
        const event = toEvent(change);
        if (event !== undefined) listener(event);
      }),
    bookmark: () => bookmark(),
  };
}

function toServedVersion({ group, version }: { group: string; version: string }): string {
  return group === '' ? version : `${group}/${version}`;
}

function bookmarkObject(
  kind: { apiVersion: string; kind: string },
  revision: number,
  annotations?: JsonObject,
): JsonObject {
  return {
    ...kind,
    metadata: {
      resourceVersion: String(revision),
      creationTimestamp: null,
      ...(annotations === undefined ? {} : { annotations }),
    },
  };
}

interface EventMakers {
  readonly selector: Selector;
  readonly toEvent: (change: Change) => WatchEvent | undefined;
  readonly bookmark: (annotations?: JsonObject) => WatchEvent;
}

function initialEvents(
  state: ServerState,
  { definition, namespace }: Collection,
  query: URLSearchParams,
  { selector, toEvent, bookmark }: EventMakers,
): WatchEvent[] {
  const since = parseResourceVersion(query);
  const sendsInitial = query.get('sendInitialEvents') === 'true';
  if (query.has('sendInitialEvents') && query.get('resourceVersionMatch') !== 'NotOlderThan') {
    throw badRequest('sendInitialEvents requires setting resourceVersionMatch to NotOlderThan');
  }
  if (since !== undefined && since > state.store.revision) {
    throw expired(`Too large resource version: ${since}, current: ${state.store.revision}`);
  }
  if (sendsInitial || since === undefined || since === 0) {
    const added = state.store
      .list(definition.storageKey, namespace)
      .map((stored) => toServed(definition, stored))
      .filter((object) => selector(object))
      .map((object): WatchEvent => ({ type: 'ADDED', object }));
    const asksBookmarks = query.get('allowWatchBookmarks') === 'true';
    return sendsInitial && asksBookmarks ? [...added, bookmark(initialEventsEnd)] : added;
  }
  return state.store
    .changesSince(definition.storageKey, since)
    .map((change) => toEvent(change))
    .filter((event) => event !== undefined);
}

function selectEvent(
  change: Change,
  selector: Selector,
  serve: (stored: ApiObject) => ApiObject,
): WatchEvent | undefined {
  const object = serve(change.object);
  const wasSelected = change.previous !== undefined && selector(serve(change.previous));
  const isSelected = change.type !== 'DELETED' && selector(object);
  if (isSelected) return { type: wasSelected ? 'MODIFIED' : 'ADDED', object };
  if (!wasSelected) return undefined;
  if (change.type === 'DELETED') return { type: 'DELETED', object };
  // It is gone from this watch only: the last state that was selected, at the revision of the change.
  const last = serve(change.previous);
  const { resourceVersion } = object.metadata;
  return { type: 'DELETED', object: { ...last, metadata: { ...last.metadata, resourceVersion } } };
}
