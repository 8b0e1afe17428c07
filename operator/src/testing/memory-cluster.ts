/**
 * An API server in memory, as a KubeClient: resourceVersions and conflicts, the status subresource,
 * finalizers, generations, UIDs, merge patches, watches. A test can make any call fail (`onCall`), change
 * objects behind the operator's back, and count what was written. What it does not know it refuses by name;
 * schemas and validation are for the end-to-end tests.
 */
import type { Clock } from '@varve/common/clock';
import type { ApiErrorKind } from '../kube/api-errors.ts';
import { ApiError } from '../kube/api-errors.ts';
import type {
  DeleteOptions,
  KubeClient,
  ListOptions,
  ObjectList,
  Patch,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from '../kube/kube-client.ts';
import type { Draft, KubernetesObject, ObjectName } from '../kube/kubernetes-object.ts';
import { objectKey } from '../kube/kubernetes-object.ts';
import type { Resource } from '../kube/resource.ts';
import { apiVersionOf, resourceName } from '../kube/resource.ts';
import { Mailbox } from './machinery.ts';

/** A call as `onCall` sees it, before it has any effect. */
export interface MemoryCall {
  readonly verb: 'get' | 'list' | 'create' | 'replace' | 'patch' | 'delete' | 'watch';
  readonly resource: Resource;
  readonly key: string;
  readonly subresource?: 'status' | undefined;
  readonly body?: unknown;
}

type Stored = KubernetesObject & { readonly status?: unknown; readonly spec?: unknown };

interface Change {
  readonly resource: string;
  readonly resourceVersion: number;
  readonly event: WatchEvent;
}

const writes = new Set(['create', 'replace', 'patch', 'delete']);
/** Kinds whose status is a part of the object like any other, or that have none. */
const withoutStatusSubresource = new Set(['Event', 'Lease', 'Secret', 'StorageClass']);

/** See the file's head. */
export class MemoryCluster implements KubeClient {
  /** Called before each call takes effect; what it throws is the answer. */
  onCall: ((call: MemoryCall) => void) | undefined;
  /** All calls that change something, in order. */
  readonly written: MemoryCall[] = [];
  readonly #clock: Clock;
  readonly #objects = new Map<string, Map<string, Stored>>();
  readonly #changes: Change[] = [];
  readonly #watchers = new Set<Mailbox<Change | undefined>>();
  #version = 0;
  #uidCount = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The object as it is, without a call. */
  peek<T extends KubernetesObject>(resource: Resource<T>, key: string): T | undefined {
    return this.#of(resource).get(key) as T | undefined;
  }

  /** All objects of a resource, without a call. */
  peekAll<T extends KubernetesObject>(resource: Resource<T>): readonly T[] {
    return [...this.#of(resource).values()] as unknown as readonly T[];
  }

  /** Puts an object there, or changes its top-level fields, as somebody else would; status too. */
  put<T extends KubernetesObject>(resource: Resource<T>, object: Draft<T>): T {
    const key = keyOf(object.metadata);
    const held = this.#of(resource).get(key);
    const merged = { ...held, ...object, metadata: { ...held?.metadata, ...object.metadata } };
    return this.#store(resource, merged) as unknown as T;
  }

  async get<T extends KubernetesObject>(resource: Resource<T>, name: ObjectName): Promise<T> {
    this.#call({ verb: 'get', resource, key: objectKey(name) });
    return this.#find(resource, name) as unknown as T;
  }

  async list<T extends KubernetesObject>(
    resource: Resource<T>,
    options: ListOptions = {},
  ): Promise<ObjectList<T>> {
    this.#call({ verb: 'list', resource, key: options.namespace ?? '' });
    const items = this.peekAll(resource).filter(
      ({ metadata }) => options.namespace === undefined || metadata.namespace === options.namespace,
    );
    return { metadata: { resourceVersion: String(this.#version) }, items };
  }

  async create<T extends KubernetesObject>(resource: Resource<T>, object: Draft<T>): Promise<T> {
    const key = keyOf(object.metadata);
    this.#call({ verb: 'create', resource, key, body: object });
    if (this.#of(resource).has(key)) throw failure('already-exists', `${key} already exists`);
    const { status: _status, ...rest } = object as unknown as Stored;
    const draft = withoutStatusSubresource.has(resource.kind) ? object : rest;
    return this.#store(resource, structuredClone(draft) as unknown as Stored) as unknown as T;
  }

  async replace<T extends KubernetesObject>(
    resource: Resource<T>,
    object: T,
    options: WriteOptions = {},
  ): Promise<T> {
    const { subresource } = options;
    this.#call({
      verb: 'replace',
      resource,
      key: objectKey(object.metadata),
      subresource,
      body: object,
    });
    const held = this.#find(resource, object.metadata);
    checkVersion(held, object.metadata.resourceVersion);
    return this.#update(resource, held, structuredClone(object), subresource) as unknown as T;
  }

  async patch<T extends KubernetesObject>(
    resource: Resource<T>,
    name: ObjectName,
    patch: Patch,
    options: WriteOptions = {},
  ): Promise<T> {
    const { subresource } = options;
    const body = patch.type === 'json' ? patch.operations : patch.body;
    this.#call({ verb: 'patch', resource, key: objectKey(name), subresource, body });
    if (patch.type !== 'merge') {
      throw failure('bad-request', `the memory cluster does not know ${patch.type} patches`);
    }
    const held = this.#find(resource, name);
    const guard = (patch.body as { metadata?: { resourceVersion?: string } }).metadata;
    if (guard?.resourceVersion !== undefined) checkVersion(held, guard.resourceVersion);
    const merged = mergePatch(held, patch.body) as Stored;
    return this.#update(resource, held, merged, subresource) as unknown as T;
  }

  async delete(resource: Resource, name: ObjectName, options: DeleteOptions = {}): Promise<void> {
    this.#call({ verb: 'delete', resource, key: objectKey(name), body: options });
    const held = this.#find(resource, name);
    if (options.uid !== undefined && options.uid !== held.metadata.uid) {
      throw failure('conflict', 'the UID in the precondition is another');
    }
    if (options.resourceVersion !== undefined) checkVersion(held, options.resourceVersion);
    this.#terminate(resource, held);
  }

  async *watch(resource: Resource, options: WatchOptions): AsyncGenerator<WatchEvent> {
    this.#call({ verb: 'watch', resource, key: '' });
    const name = resourceName(resource);
    const mailbox = new Mailbox<Change | undefined>();
    const stop = (): void => mailbox.put(undefined);
    options.signal.addEventListener('abort', stop, { once: true });
    for (const change of this.#changes) mailbox.put(change);
    this.#watchers.add(mailbox);
    try {
      for (;;) {
        const change = await mailbox.next();
        if (change === undefined || options.signal.aborted) return;
        const isNews = change.resourceVersion > Number(options.resourceVersion);
        if (isNews && change.resource === name) yield change.event;
      }
    } finally {
      this.#watchers.delete(mailbox);
      options.signal.removeEventListener('abort', stop);
    }
  }

  /** Waits until the object (undefined when it is gone) is as the test wants it; looks at every change. */
  async until<T extends KubernetesObject>(
    resource: Resource<T>,
    key: string,
    isAsWanted: (object: T | undefined) => boolean,
  ): Promise<T | undefined> {
    const mailbox = new Mailbox<Change | undefined>();
    this.#watchers.add(mailbox);
    while (!isAsWanted(this.peek(resource, key))) await mailbox.next();
    this.#watchers.delete(mailbox);
    return this.peek(resource, key);
  }

  /** Ends all watches, as a restart of the server does. */
  dropWatches(): void {
    for (const mailbox of this.#watchers) mailbox.put(undefined);
  }

  #call(call: MemoryCall): void {
    this.onCall?.(call);
    if (writes.has(call.verb)) this.written.push(call);
  }

  #of(resource: Resource): Map<string, Stored> {
    const name = resourceName(resource);
    const held = this.#objects.get(name);
    if (held !== undefined) return held;
    const objects = new Map<string, Stored>();
    this.#objects.set(name, objects);
    return objects;
  }

  #find(resource: Resource, name: ObjectName): Stored {
    const held = this.#of(resource).get(objectKey(name));
    if (held !== undefined) return held;
    throw failure('not-found', `${resourceName(resource)} ${objectKey(name)} not found`);
  }

  #terminate(resource: Resource, held: Stored): void {
    if ((held.metadata.finalizers?.length ?? 0) === 0) {
      this.#remove(resource, held);
    } else if (held.metadata.deletionTimestamp === undefined) {
      const deletionTimestamp = timestamp(this.#clock);
      const generation = (held.metadata.generation ?? 1) + 1;
      const metadata = { ...held.metadata, deletionTimestamp, generation };
      this.#store(resource, { ...held, metadata });
    }
  }

  #update(
    resource: Resource,
    held: Stored,
    wanted: Stored,
    subresource: 'status' | undefined,
  ): Stored {
    const next = onlyPart(resource, held, wanted, subresource);
    if (JSON.stringify(next) === JSON.stringify(held)) return held;
    const { deletionTimestamp, finalizers = [] } = next.metadata;
    if (deletionTimestamp === undefined || finalizers.length > 0) {
      return this.#store(resource, next);
    }
    return this.#remove(resource, next);
  }

  #store(resource: Resource, object: Stored): Stored {
    const key = keyOf(object.metadata);
    const held = this.#of(resource).get(key);
    const generation = held?.metadata.generation ?? 0;
    const isSpecChanged = JSON.stringify(held?.spec) !== JSON.stringify(object.spec);
    const stored: Stored = {
      ...object,
      apiVersion: apiVersionOf(resource),
      kind: resource.kind,
      metadata: {
        ...object.metadata,
        uid: held?.metadata.uid ?? object.metadata.uid ?? this.#nextUid(),
        creationTimestamp: held?.metadata.creationTimestamp ?? timestamp(this.#clock),
        generation:
          held === undefined || isSpecChanged
            ? generation + 1
            : (object.metadata.generation ?? generation),
        resourceVersion: String(++this.#version),
      },
    };
    this.#of(resource).set(key, stored);
    this.#tell(resource, held === undefined ? 'ADDED' : 'MODIFIED', stored);
    return stored;
  }

  #remove(resource: Resource, object: Stored): Stored {
    const metadata = { ...object.metadata, resourceVersion: String(++this.#version) };
    const last = { ...object, metadata };
    this.#of(resource).delete(objectKey(metadata));
    this.#tell(resource, 'DELETED', last);
    return last;
  }

  #tell(resource: Resource, type: 'ADDED' | 'MODIFIED' | 'DELETED', object: Stored): void {
    const change = {
      resource: resourceName(resource),
      resourceVersion: this.#version,
      event: { type, object: structuredClone(object) },
    };
    this.#changes.push(change);
    for (const mailbox of this.#watchers) mailbox.put(change);
  }

  #nextUid(): string {
    this.#uidCount += 1;
    return `00000000-0000-4000-8000-${String(this.#uidCount).padStart(12, '0')}`;
  }
}

/** An answer of the API server that is no success. */
export function failure(kind: ApiErrorKind, message: string = kind): ApiError {
  return new ApiError(message, { kind });
}

function keyOf(metadata: { readonly namespace?: string; readonly name?: string }): string {
  return objectKey({ namespace: metadata.namespace, name: metadata.name ?? '' });
}

function checkVersion(held: Stored, resourceVersion: string): void {
  if (held.metadata.resourceVersion === resourceVersion) return;
  throw failure(
    'conflict',
    'the object has been modified; please apply your changes to the latest',
  );
}

/** What a write to the main URL, or to the status, may change; the server keeps the rest as it is. */
function onlyPart(
  resource: Resource,
  held: Stored,
  wanted: Stored,
  subresource: 'status' | undefined,
): Stored {
  const { uid, resourceVersion, generation, creationTimestamp, deletionTimestamp } = held.metadata;
  if (subresource === 'status') return defined({ ...held, status: wanted.status });
  const own = { uid, resourceVersion, generation, creationTimestamp, deletionTimestamp };
  const metadata = defined({ ...wanted.metadata, ...own });
  if (withoutStatusSubresource.has(resource.kind)) return { ...wanted, metadata };
  return defined({ ...wanted, metadata, status: held.status });
}

function defined<T extends object>(record: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as T;
}

/** RFC 7386. */
function mergePatch(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) {
    return structuredClone(patch);
  }
  const isRecord = typeof target === 'object' && target !== null && !Array.isArray(target);
  const result: Record<string, unknown> = isRecord ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}

function timestamp(clock: Clock): string {
  return `${new Date(clock.nowMs()).toISOString().slice(0, 19)}Z`;
}
