/**
 * Failures as clients see them: a metav1.Status with a stable reason. One factory for each way in which a
 * request can be refused, with the wording of the real API server, since people and programs know it.
 */
import type { JsonObject } from './json.ts';

/** One field that is wrong, as in `status.details.causes`. */
export interface FieldError {
  /** Path of the field, as `spec.resources.requests[storage]`. */
  readonly field: string;
  readonly reason: FieldErrorReason;
  /** What is wrong, without the path: `Required value`, `Invalid value: "x": ...`. */
  readonly message: string;
}

/** The reasons that Kubernetes gives for a wrong field. */
export type FieldErrorReason =
  | 'FieldValueRequired'
  | 'FieldValueInvalid'
  | 'FieldValueTypeInvalid'
  | 'FieldValueNotSupported'
  | 'FieldValueForbidden'
  | 'FieldValueDuplicate'
  | 'FieldValueTooLong'
  | 'FieldValueTooMany'
  | 'FieldValueNotFound';

/** Names the resource that a failure is about. */
export interface ResourceName {
  readonly group: string;
  /** Plural name, as in URLs. */
  readonly resource: string;
}

/** A request that was refused, with everything that the Status object says. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly kind = 'api-error';
  readonly code: number;
  readonly reason: string;
  readonly details: JsonObject | undefined;

  constructor(status: { code: number; reason: string; message: string; details?: JsonObject }) {
    super(status.message);
    this.code = status.code;
    this.reason = status.reason;
    this.details = status.details;
  }

  /** The metav1.Status that goes out as body or as the object of an ERROR event. */
  toStatus(): JsonObject {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      ...(this.reason === '' ? {} : { reason: this.reason }),
      ...(this.details === undefined ? {} : { details: this.details }),
      code: this.code,
    };
  }
}

/** Whether a caught value is one of ours. */
export function isApiError(error: unknown): error is ApiError {
  return error instanceof ApiError;
}

function qualified({ group, resource }: ResourceName): string {
  return group === '' ? resource : `${resource}.${group}`;
}

function detailsOf(where: ResourceName, name: string, more?: JsonObject): JsonObject {
  return {
    ...(name === '' ? {} : { name }),
    ...(where.group === '' ? {} : { group: where.group }),
    kind: where.resource,
    ...more,
  };
}

/** 404: no object of that name. */
export function notFound(where: ResourceName, name: string): ApiError {
  return new ApiError({
    code: 404,
    reason: 'NotFound',
    message: `${qualified(where)} "${name}" not found`,
    details: detailsOf(where, name),
  });
}

/** 404: nothing is served at this path. */
export function unknownPath(): ApiError {
  return new ApiError({
    code: 404,
    reason: 'NotFound',
    message: 'the server could not find the requested resource',
    details: {},
  });
}

/** 409: the name is taken. */
export function alreadyExists(where: ResourceName, name: string): ApiError {
  return new ApiError({
    code: 409,
    reason: 'AlreadyExists',
    message: `${qualified(where)} "${name}" already exists`,
    details: detailsOf(where, name),
  });
}

/** 409: the object has changed since the caller read it. */
export function conflict(where: ResourceName, name: string, why?: string): ApiError {
  const because =
    why ??
    'the object has been modified; please apply your changes to the latest version and try again';
  return new ApiError({
    code: 409,
    reason: 'Conflict',
    message: `Operation cannot be fulfilled on ${qualified(where)} "${name}": ${because}`,
    details: detailsOf(where, name),
  });
}

/** 403: the request is understood and not allowed. */
export function forbidden(
  where: ResourceName,
  name: string,
  why: string,
  details?: JsonObject,
): ApiError {
  const what = name === '' ? qualified(where) : `${qualified(where)} "${name}"`;
  return new ApiError({
    code: 403,
    reason: 'Forbidden',
    message: `${what} is forbidden: ${why}`,
    details: detailsOf(where, name, details),
  });
}

/** 400: the request itself cannot be understood. */
export function badRequest(message: string): ApiError {
  return new ApiError({ code: 400, reason: 'BadRequest', message });
}

/** 422: the object breaks rules of its kind; every broken rule is named. */
export function invalid(
  kind: { group: string; kind: string },
  name: string,
  errors: readonly FieldError[],
): ApiError {
  const lines = errors.map(({ field, message }) => `${field}: ${message}`);
  const listed = lines.length === 1 ? lines[0] : `[${lines.join(', ')}]`;
  return new ApiError({
    code: 422,
    reason: 'Invalid',
    message: `${kind.group === '' ? kind.kind : `${kind.kind}.${kind.group}`} "${name}" is invalid: ${listed}`,
    details: {
      ...(name === '' ? {} : { name }),
      ...(kind.group === '' ? {} : { group: kind.group }),
      kind: kind.kind,
      causes: errors.map(({ field, message, reason }) => ({ reason, message, field })),
    },
  });
}

/** 410: the resource version lies before the history that is kept. */
export function expired(message: string): ApiError {
  return new ApiError({ code: 410, reason: 'Expired', message });
}

/** 401: no token, or a wrong one. */
export function unauthorized(): ApiError {
  return new ApiError({ code: 401, reason: 'Unauthorized', message: 'Unauthorized' });
}

/** 405: the resource exists and does not do this. */
export function methodNotAllowed(where: ResourceName, action: string): ApiError {
  return new ApiError({
    code: 405,
    reason: 'MethodNotAllowed',
    message: `${action} is not supported on resources of kind "${qualified(where)}"`,
    details: detailsOf(where, ''),
  });
}

/** 406: none of the media types that the client accepts is served. */
export function notAcceptable(accepted: readonly string[]): ApiError {
  return new ApiError({
    code: 406,
    reason: 'NotAcceptable',
    message: `only the following media types are accepted: ${accepted.join(', ')}`,
  });
}

/** 415: the body is of a media type that is not read here. */
export function unsupportedMediaType(found: string, accepted: readonly string[]): ApiError {
  return new ApiError({
    code: 415,
    reason: 'UnsupportedMediaType',
    message:
      `the body of the request was in an unknown format - accepted media types include: ` +
      `${accepted.join(', ')} (found ${JSON.stringify(found)})`,
  });
}

/** 501: Kubernetes has it, this server does not; the message names it. */
export function notImplemented(what: string): ApiError {
  return new ApiError({
    code: 501,
    reason: 'NotImplemented',
    message: `${what} is not supported by the playground's API server`,
  });
}
