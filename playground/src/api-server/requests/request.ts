/** Requests and answers without sockets: what the HTTP edge translates from and to. */
import type { OpenedWatch, WatchEvent } from '../operations/watch.ts';

/** A request whose body has been read. */
export interface ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly accept: string;
  readonly contentType: string;
  readonly userAgent: string;
  readonly body: Buffer;
}

/** An answer with a body that is known at once. */
export interface WholeAnswer {
  readonly type: 'whole';
  readonly status: number;
  readonly mediaType: string;
  /** A JSON value, a text if the media type is text, or bytes. */
  readonly body: unknown;
  readonly warnings: readonly string[];
}

/** An answer that goes on: a watch. */
export interface WatchAnswer {
  readonly type: 'watch';
  readonly mediaType: string;
  readonly watch: OpenedWatch;
  /** One event as it goes over the wire; an error that ends the watch if it cannot be rendered. */
  readonly render: (event: WatchEvent) => unknown;
  readonly sendsBookmarks: boolean;
  readonly timeoutMs: number;
}

/** Any answer. */
export type ApiAnswer = WholeAnswer | WatchAnswer;

/** A JSON answer. */
export function jsonAnswer(
  body: unknown,
  options: { status?: number; mediaType?: string; warnings?: readonly string[] } = {},
): WholeAnswer {
  return {
    type: 'whole',
    status: options.status ?? 200,
    mediaType: options.mediaType ?? 'application/json',
    body,
    warnings: options.warnings ?? [],
  };
}

/** A plain text answer. */
export function textAnswer(text: string): WholeAnswer {
  return {
    type: 'whole',
    status: 200,
    mediaType: 'text/plain; charset=utf-8',
    body: text,
    warnings: [],
  };
}

/** An answer of bytes. */
export function rawAnswer(body: Buffer, mediaType: string): WholeAnswer {
  return { type: 'whole', status: 200, mediaType, body, warnings: [] };
}
