/**
 * Errors of the API server, told apart by a stable kind. Callers ask for the kind, never `instanceof`: under
 * jest's realms, and for errors of other packages, that answers wrongly.
 */

/** Every way in which a call to the API server may fail, as far as callers act differently. */
export type ApiErrorKind =
  | 'bad-request'
  | 'unauthorized'
  | 'forbidden'
  | 'not-found'
  | 'already-exists'
  | 'conflict'
  | 'gone'
  | 'invalid'
  | 'too-many-requests'
  | 'server-error'
  /** No answer: refused, reset, timed out. The call may or may not have taken effect. */
  | 'unreachable'
  /** An answer that is not the JSON that was asked for. */
  | 'malformed';

/** metav1.Status, as far as we read it. */
export interface ApiStatus {
  readonly kind?: string;
  readonly status?: string;
  readonly code?: number;
  readonly reason?: string;
  readonly message?: string;
  readonly details?: { readonly retryAfterSeconds?: number; readonly name?: string };
}

/** What is known about a failed call. */
export interface ApiErrorContext {
  readonly kind: ApiErrorKind;
  /** Absent when there was no answer. */
  readonly statusCode?: number | undefined;
  readonly reason?: string | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** A call to the API server failed. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly kind: ApiErrorKind;
  readonly statusCode: number | undefined;
  readonly reason: string | undefined;
  /** How long the server asked us to stay away. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, context: ApiErrorContext) {
    super(message, context.cause === undefined ? undefined : { cause: context.cause });
    this.kind = context.kind;
    this.statusCode = context.statusCode;
    this.reason = context.reason;
    this.retryAfterMs = context.retryAfterMs;
  }
}

const kindOfStatusCode: Readonly<Record<number, ApiErrorKind>> = {
  400: 'bad-request',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not-found',
  410: 'gone',
  415: 'bad-request',
  422: 'invalid',
  429: 'too-many-requests',
};

/** The kind of a failure answer; 409 is two things, told apart by the reason. */
export function kindOfStatus(statusCode: number, reason: string | undefined): ApiErrorKind {
  if (statusCode === 409) return reason === 'AlreadyExists' ? 'already-exists' : 'conflict';
  // A list continued too late answers 410 with reason Expired; some proxies keep the reason only.
  if (reason === 'Expired' || reason === 'Gone') return 'gone';
  return kindOfStatusCode[statusCode] ?? (statusCode >= 500 ? 'server-error' : 'bad-request');
}

/** The error of a failure answer to `action` ("patching volumesnapshots app/s1"). */
export function apiErrorFromStatus(
  action: string,
  statusCode: number,
  status: ApiStatus,
  retryAfterSeconds?: number,
): ApiError {
  const kind = kindOfStatus(statusCode, status.reason);
  const seconds = retryAfterSeconds ?? status.details?.retryAfterSeconds;
  return new ApiError(`${action} failed: ${status.message ?? `HTTP status ${statusCode}`}`, {
    kind,
    statusCode,
    reason: status.reason,
    retryAfterMs: seconds === undefined ? undefined : seconds * 1000,
  });
}

/** The kind of an API error, or undefined when `error` is something else. */
export function apiErrorKind(error: unknown): ApiErrorKind | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const { name, kind } = error as { name?: unknown; kind?: unknown };
  return name === 'ApiError' && typeof kind === 'string' ? (kind as ApiErrorKind) : undefined;
}

/** The object is not there. */
export function isNotFound(error: unknown): boolean {
  return apiErrorKind(error) === 'not-found';
}

/** An object of that name is there already. */
export function isAlreadyExists(error: unknown): boolean {
  return apiErrorKind(error) === 'already-exists';
}

/** Somebody changed the object since it was read, or a precondition does not hold: look again. */
export function isConflict(error: unknown): boolean {
  return apiErrorKind(error) === 'conflict';
}

/** The resourceVersion or continue token is too old: list again. */
export function isGone(error: unknown): boolean {
  return apiErrorKind(error) === 'gone';
}

/**
 * The object cannot be created because its namespace is being deleted: never a reason to fail, there is
 * nobody left to tell.
 */
export function isNamespaceTerminating(error: unknown): boolean {
  return (
    apiErrorKind(error) === 'forbidden' &&
    /because it is being terminated/.test((error as Error).message)
  );
}
