/**
 * Serves the URLs of objects and collections: picks the operation, and gives its result the form that the
 * client wants.
 */
import { methodNotAllowed, notImplemented, unknownPath } from '../objects/api-error.ts';
import { formatApiVersion, type ApiObject } from '../objects/api-object.ts';
import type { JsonObject } from '../objects/json.ts';
import { createObject } from '../operations/create.ts';
import { deleteObject, parseDeleteOptions } from '../operations/delete.ts';
import { finalizeNamespace } from '../operations/finalize-namespace.ts';
import { checkPatchType, patchObject } from '../operations/patch.ts';
import { listObjects, type Page } from '../operations/read.ts';
import {
  parseWriteOptions,
  type ServerState,
  type WriteOptions,
} from '../operations/server-state.ts';
import { getObject } from '../operations/stored-objects.ts';
import { replaceObject } from '../operations/update.ts';
import { openWatch, type WatchEvent } from '../operations/watch.ts';
import { watchTimeoutMs } from '../limits.ts';
import { readObjectBody, readOptionalBody, readPatchBody } from './body.ts';
import { mediaTypeOf, negotiateForm, type ObjectForm } from './media-types.ts';
import { jsonAnswer, type ApiAnswer, type ApiRequest, type WholeAnswer } from './request.ts';
import type { ResourceUrl } from './request-target.ts';
import { formatTable, partialMetadata, type IncludeObject } from './table.ts';

/** Serves a request to a collection, an object or a subresource. */
export function serveResource(
  state: ServerState,
  request: ApiRequest,
  url: ResourceUrl,
): ApiAnswer {
  return new ResourceRequest(state, request, url).serve();
}

class ResourceRequest {
  readonly #state: ServerState;
  readonly #request: ApiRequest;
  readonly #url: ResourceUrl;

  constructor(state: ServerState, request: ApiRequest, url: ResourceUrl) {
    this.#state = state;
    this.#request = request;
    this.#url = url;
  }

  serve(): ApiAnswer {
    this.#checkSubresource();
    return this.#url.name === '' ? this.#serveCollection() : this.#serveObject();
  }

  #checkSubresource(): void {
    const { definition, subresource } = this.#url;
    if (subresource === undefined) return;
    if (subresource === 'status' && definition.hasStatus) return;
    if (subresource === 'finalize' && definition.kind === 'Namespace') return;
    const reason = definition.refusedSubresources[subresource];
    if (reason === undefined) throw unknownPath();
    throw notImplemented(`${definition.resource}/${subresource} (${reason})`);
  }

  #serveCollection(): ApiAnswer {
    const { definition, namespace } = this.#url;
    switch (this.#request.method) {
      case 'GET':
        return this.#isWatch ? this.#watch(this.#request.query) : this.#list();
      case 'POST': {
        // One object of a namespaced kind lives in one namespace.
        if (definition.isNamespaced && namespace === undefined) {
          throw methodNotAllowed(definition, 'create without a namespace');
        }
        const options = this.#writeOptions();
        const body = readObjectBody(this.#request);
        return this.#answer(createObject(this.#state, this.#url, body, options), options, 201);
      }
      case 'DELETE':
        return this.#deleteCollection();
      default:
        throw methodNotAllowed(definition, this.#request.method.toLowerCase());
    }
  }

  #serveObject(): ApiAnswer {
    const options = this.#writeOptions();
    switch (this.#request.method) {
      case 'GET':
        if (this.#isWatch) return this.#watch(this.#queryOfOne());
        return this.#answer(getObject(this.#state, this.#url));
      case 'PUT': {
        const body = readObjectBody(this.#request);
        const object =
          this.#url.subresource === 'finalize'
            ? finalizeNamespace(this.#state, this.#url, body)
            : replaceObject(this.#state, this.#url, body, options);
        return this.#answer(object, options);
      }
      case 'PATCH': {
        const mediaType = mediaTypeOf(this.#request.contentType);
        checkPatchType(this.#url.definition, mediaType);
        const patch = { mediaType, body: readPatchBody(this.#request) };
        const { object, isCreated } = patchObject(this.#state, this.#url, patch, options);
        return this.#answer(object, options, isCreated ? 201 : 200);
      }
      case 'DELETE':
        return this.#delete();
      default:
        throw methodNotAllowed(this.#url.definition, this.#request.method.toLowerCase());
    }
  }

  get #isWatch(): boolean {
    const watch = this.#request.query.get('watch');
    return watch === 'true' || watch === '1';
  }

  #writeOptions(): WriteOptions {
    const { query, userAgent } = this.#request;
    return parseWriteOptions(query, userAgent, this.#url.subresource === 'status');
  }

  /** Watching one object is watching its collection for its name. */
  #queryOfOne(): URLSearchParams {
    const query = new URLSearchParams(this.#request.query);
    query.set('fieldSelector', `metadata.name=${this.#url.name}`);
    return query;
  }

  #answer(object: ApiObject, options?: WriteOptions, status = 200): WholeAnswer {
    const warnings = options?.warnings ?? [];
    const form = negotiateForm(this.#request.accept);
    return jsonAnswer(this.#format(form, object), { status, warnings });
  }

  #format(form: ObjectForm, object: ApiObject): JsonObject {
    if (form === 'metadata') return partialMetadata(object);
    if (form === 'object') return object;
    const { resourceVersion } = object.metadata;
    return this.#table([object], { resourceVersion }, true);
  }

  #table(objects: readonly ApiObject[], listMetadata: JsonObject, hasColumns: boolean): JsonObject {
    return formatTable({
      definition: this.#url.definition,
      objects,
      includeObject: (this.#request.query.get('includeObject') ?? 'Metadata') as IncludeObject,
      now: this.#state.now(),
      listMetadata,
      hasColumns,
    });
  }

  #list(): WholeAnswer {
    const form = negotiateForm(this.#request.accept);
    const page = listObjects(this.#state, this.#url, this.#request.query);
    const { definition } = this.#url;
    const metadata = listMetadata(page);
    if (form === 'table') return jsonAnswer(this.#table(page.items, metadata, true));
    if (form === 'metadata') {
      return jsonAnswer({
        kind: 'PartialObjectMetadataList',
        apiVersion: 'meta.k8s.io/v1',
        metadata,
        items: page.items.map((object) => partialMetadata(object)),
      });
    }
    return jsonAnswer({
      kind: definition.listKind,
      apiVersion: formatApiVersion(definition),
      metadata,
      items: definition.isCustom ? page.items : page.items.map((object) => withoutKind(object)),
    });
  }

  #watch(query: URLSearchParams): ApiAnswer {
    const form = negotiateForm(this.#request.accept);
    const watch = openWatch(this.#state, this.#url, query);
    const seconds = Number(query.get('timeoutSeconds') ?? 0);
    let isFirst = true;
    const render = (event: WatchEvent): JsonObject => {
      const isObject = event.type !== 'ERROR' && event.type !== 'BOOKMARK';
      if (form === 'object' || event.type === 'ERROR') return { ...event };
      if (form === 'metadata') {
        return { type: event.type, object: partialMetadata(event.object as ApiObject) };
      }
      const metadata = event.object['metadata'] as JsonObject;
      const version = { resourceVersion: metadata['resourceVersion'] };
      const objects = isObject ? [event.object as ApiObject] : [];
      const object = this.#table(objects, version, isFirst);
      isFirst = false;
      return { type: event.type, object };
    };
    return {
      type: 'watch',
      mediaType: 'application/json',
      watch,
      render,
      sendsBookmarks: query.get('allowWatchBookmarks') === 'true',
      timeoutMs: seconds > 0 ? Math.min(seconds * 1000, watchTimeoutMs) : watchTimeoutMs,
    };
  }

  #delete(): WholeAnswer {
    const { definition, name } = this.#url;
    if (this.#url.subresource !== undefined) throw methodNotAllowed(definition, 'delete');
    const options = parseDeleteOptions(readOptionalBody(this.#request), this.#request.query);
    const { object, isGone } = deleteObject(this.#state, this.#url, options);
    if (!isGone || definition.rules.returnsDeletedObject === true) return this.#answer(object);
    return jsonAnswer({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Success',
      details: {
        name,
        ...(definition.group === '' ? {} : { group: definition.group }),
        kind: definition.resource,
        uid: object.metadata.uid,
      },
    });
  }

  #deleteCollection(): WholeAnswer {
    const { definition } = this.#url;
    const options = parseDeleteOptions(readOptionalBody(this.#request), this.#request.query);
    const page = listObjects(this.#state, this.#url, this.#request.query);
    for (const { metadata } of page.items) {
      const target = { definition, namespace: metadata.namespace, name: metadata.name };
      deleteObject(this.#state, target, options);
    }
    return jsonAnswer({
      kind: definition.listKind,
      apiVersion: formatApiVersion(definition),
      metadata: listMetadata(page),
      items: definition.isCustom ? page.items : page.items.map((object) => withoutKind(object)),
    });
  }
}

function listMetadata({ resourceVersion, continueToken, remainingItemCount }: Page): JsonObject {
  return {
    resourceVersion,
    ...(continueToken === undefined ? {} : { continue: continueToken }),
    ...(remainingItemCount === undefined ? {} : { remainingItemCount }),
  };
}

/** Items of built-in lists state neither version nor kind: Kubernetes leaves them out there. */
function withoutKind(object: ApiObject): JsonObject {
  const { apiVersion: _apiVersion, kind: _kind, ...rest } = object;
  return rest;
}
