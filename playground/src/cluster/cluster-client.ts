/**
 * What the playground asks of its API server, over HTTP as everybody else does: applying manifests, deleting, and
 * waiting, by a watch, until an object is as wanted.
 */
import {
  formatJson,
  parseJson,
  readPath,
  textOf,
  type JsonObject,
} from '../api-server/objects/json.ts';
import { collectionPath, objectPath, type CollectionName, type ObjectName } from './object-path.ts';

/** What to wait for. */
export interface Wanted {
  /** For the message of a failure: `my-claim to be bound`. */
  readonly what: string;
  /** The object, or undefined while it is not there. */
  readonly isReached: (object: JsonObject | undefined) => boolean;
  readonly timeoutMs: number;
}

const fieldManager = 'varve-playground';

/** A request was refused. */
export class ClusterError extends Error {
  override readonly name = 'ClusterError';
  readonly kind = 'refused';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Talks to one API server. */
export class ClusterClient {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** Applies a manifest (server-side): made if it is not there, changed to what it states if it is. */
  async apply(manifest: JsonObject & ObjectManifest): Promise<JsonObject> {
    const path = objectPath(nameOf(manifest));
    const query = `?fieldManager=${fieldManager}&force=true`;
    return this.#send('PATCH', `${path}${query}`, manifest, 'application/apply-patch+yaml');
  }

  /** Changes members of an object by a merge patch. */
  async merge(object: ObjectName, patch: JsonObject): Promise<JsonObject> {
    return this.#send('PATCH', objectPath(object), patch, 'application/merge-patch+json');
  }

  /** Reads an object; undefined if it is not there. */
  async find(object: ObjectName): Promise<JsonObject | undefined> {
    return ignoreAbsent(this.#send('GET', objectPath(object)));
  }

  /** Reads all objects of a collection; the query may select. */
  async list(collection: CollectionName, query = ''): Promise<readonly JsonObject[]> {
    const { items } = await this.#send('GET', `${collectionPath(collection)}${query}`);
    return items as readonly JsonObject[];
  }

  /** Deletes an object; finalizers may hold it. Nothing happens if it is not there. */
  async remove(object: ObjectName): Promise<void> {
    await ignoreAbsent(this.#send('DELETE', objectPath(object)));
  }

  /**
   * Waits until the object is as wanted; returns it. Rejects when the time is over, with its last state's conditions.
   */
  async waitFor(object: ObjectName, wanted: Wanted): Promise<JsonObject | undefined> {
    const deadline = AbortSignal.timeout(wanted.timeoutMs);
    let latest: JsonObject | undefined;
    while (!deadline.aborted) {
      latest = await this.find(object);
      if (wanted.isReached(latest)) return latest;
      try {
        for await (const event of this.#watch(object, latest, deadline)) {
          latest = event;
          if (wanted.isReached(latest)) return latest;
        }
      } catch (error) {
        if (!deadline.aborted) throw error;
      }
    }
    throw new ClusterError(
      504,
      `Waiting for ${wanted.what} took longer than ${wanted.timeoutMs / 1000} s${explain(latest)}`,
    );
  }

  /** The states of an object from the given one on; undefined once it is deleted. */
  async *#watch(
    object: ObjectName,
    latest: JsonObject | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<JsonObject | undefined> {
    const query = new URLSearchParams({
      watch: 'true',
      fieldSelector: `metadata.name=${object.name}`,
    });
    const version = readPath(latest, 'metadata', 'resourceVersion');
    if (version !== undefined) query.set('resourceVersion', textOf(version));
    const response = await this.#fetch('GET', `${collectionPath(object)}?${query.toString()}`, {
      signal,
    });
    let pending = '';
    const decoder = new TextDecoder();
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      pending += decoder.decode(chunk, { stream: true });
      const lines = pending.split('\n');
      pending = lines.pop() ?? '';
      for (const line of lines) {
        const event = parseJson(line) as { type?: string; object?: JsonObject };
        yield event.type === 'DELETED' ? undefined : event.object;
      }
    }
  }

  async #send(
    method: string,
    path: string,
    body?: JsonObject,
    contentType = 'application/json',
  ): Promise<JsonObject> {
    const init =
      body === undefined
        ? {}
        : { body: formatJson(body), headers: { 'content-type': contentType } };
    const response = await this.#fetch(method, path, init);
    return parseJson(await response.text()) as JsonObject;
  }

  async #fetch(method: string, path: string, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers);
    headers.set('user-agent', fieldManager);
    const response = await fetch(`${this.#url}${path}`, { ...init, method, headers });
    if (response.ok) return response;
    const status = parseJson(await response.text()) as JsonObject;
    throw new ClusterError(response.status, `${method} ${path}: ${textOf(status['message'])}`);
  }
}

/** A manifest that names its object. */
export interface ObjectManifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: JsonObject & { readonly name: string; readonly namespace?: string };
}

/** The name of the object that a manifest is of. */
export function nameOf({ apiVersion, kind, metadata }: ObjectManifest): ObjectName {
  const { name, namespace } = metadata;
  return { apiVersion, kind, name, ...(namespace === undefined ? {} : { namespace }) };
}

async function ignoreAbsent(answer: Promise<JsonObject>): Promise<JsonObject | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ClusterError && error.status === 404) return undefined;
    throw error;
  }
}

/** What the object says about itself: the messages of its conditions that are not True, and its error. */
function explain(object: JsonObject | undefined): string {
  if (object === undefined) return '; it is not there';
  const conditions = (readPath(object, 'status', 'conditions') ?? []) as readonly JsonObject[];
  const messages = conditions
    .filter((condition) => condition['status'] !== 'True')
    .map((condition) => textOf(condition['message']));
  const error = readPath(object, 'status', 'error', 'message');
  return [...messages, ...(error === undefined ? [] : [textOf(error)])]
    .map((message) => `; ${message}`)
    .join('');
}
