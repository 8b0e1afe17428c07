/** A plain HTTP client for tests: what was answered, nothing hidden. */
import { formatJson, parseJson, textOf, type JsonObject } from '../objects/json.ts';

/** An answer. */
export interface TestAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: JsonObject;
}

/** What a request carries beyond its method, path and body. */
export interface TestRequestOptions {
  readonly accept?: string;
  readonly contentType?: string;
  readonly token?: string;
  readonly userAgent?: string;
}

/** One event of a watch, as it came. */
export interface TestWatchEvent {
  readonly type: string;
  readonly object: JsonObject;
}

/** Talks to one server. */
export class TestClient {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** Sends a request with a JSON body, or a text as it is. */
  async request(
    method: string,
    path: string,
    body?: unknown,
    options: TestRequestOptions = {},
  ): Promise<TestAnswer> {
    const response = await fetch(`${this.#url}${path}`, {
      method,
      headers: headersOf(body, options),
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : formatJson(body) }),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.startsWith('application/json') === true;
    const parsed = isJson ? (parseJson(text) as JsonObject) : { text };
    return { status: response.status, headers: response.headers, body: parsed };
  }

  async get(path: string, options?: TestRequestOptions): Promise<TestAnswer> {
    return this.request('GET', path, undefined, options);
  }

  async create(path: string, object: unknown): Promise<TestAnswer> {
    return this.request('POST', path, object);
  }

  async mergePatch(path: string, patch: unknown): Promise<TestAnswer> {
    return this.patch(path, 'application/merge-patch+json', patch);
  }

  async patch(path: string, contentType: string, patch: unknown): Promise<TestAnswer> {
    return this.request('PATCH', path, patch, { contentType });
  }

  async apply(
    path: string,
    manager: string,
    object: unknown,
    isForced = false,
  ): Promise<TestAnswer> {
    const query = `fieldManager=${manager}${isForced ? '&force=true' : ''}`;
    return this.patch(`${path}?${query}`, 'application/apply-patch+yaml', object);
  }

  async remove(path: string, options?: unknown): Promise<TestAnswer> {
    return this.request('DELETE', path, options);
  }

  /** Opens a watch; the path carries its query. */
  async watch(path: string, accept?: string): Promise<TestWatch> {
    const cancel = new AbortController();
    const response = await fetch(`${this.#url}${path}`, {
      signal: cancel.signal,
      headers: accept === undefined ? {} : { accept },
    });
    if (response.body === null) throw new Error(`Cannot watch ${path}: the answer has no body`);
    return new TestWatch(response, cancel);
  }
}

function headersOf(body: unknown, options: TestRequestOptions): Record<string, string> {
  return {
    ...(options.accept === undefined ? {} : { accept: options.accept }),
    ...(body === undefined ? {} : { 'content-type': options.contentType ?? 'application/json' }),
    ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
    ...(options.userAgent === undefined ? {} : { 'user-agent': options.userAgent }),
  };
}

/** A watch that is open. */
export class TestWatch {
  readonly status: number;
  readonly #lines: AsyncIterator<string>;
  readonly #cancel: AbortController;

  constructor(response: Response, cancel: AbortController) {
    this.status = response.status;
    this.#lines = linesOf(response);
    this.#cancel = cancel;
  }

  /** The next event; undefined when the server has ended the watch. */
  async next(): Promise<TestWatchEvent | undefined> {
    const { done, value } = await this.#lines.next();
    return done === true ? undefined : (parseJson(value) as unknown as TestWatchEvent);
  }

  /** The next events, in short: type and name. */
  async take(count: number): Promise<string[]> {
    const seen: string[] = [];
    while (seen.length < count) {
      const event = await this.next();
      if (event === undefined) break;
      const metadata = event.object['metadata'] as JsonObject | undefined;
      seen.push(`${event.type} ${textOf(metadata?.['name'])}`);
    }
    return seen;
  }

  close(): void {
    this.#cancel.abort();
  }
}

async function* linesOf(response: Response): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let pending = '';
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    pending += decoder.decode(chunk, { stream: true });
    const lines = pending.split('\n');
    pending = lines.pop() ?? '';
    yield* lines.filter((line) => line !== '');
  }
}
