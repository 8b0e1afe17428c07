/**
 * The one table of errors. A kind is stable; it decides the HTTP status, the gRPC code of the CSI side, and
 * whether a retry can help. The daemon's answers, the client's exceptions and the operator's choice between
 * requeue and stop all come from here.
 */
import { z } from 'zod';

/** Whether, and when, the same call can succeed later. */
export type RetryAdvice =
  /** Not before the caller's object changes. */
  | 'never'
  /** The caller knows: an object that is gone is fine for a DELETE. */
  | 'caller-decides'
  /** At once, a few times: something else was working on the same object. */
  | 'soon'
  /** With growing pauses, without end. */
  | 'with-backoff'
  /** With long pauses: a person has to act first. */
  | 'slowly'
  /** After the time that the answer names. */
  | 'after-delay'
  /** The same call again: its effect is unknown, and every call is idempotent. */
  | 'same-call';

interface ProblemRow {
  readonly title: string;
  readonly httpStatus: number;
  readonly grpcCode: number;
  readonly retry: RetryAdvice;
}

/** gRPC status codes, with the names of the gRPC specification. */
const grpc = {
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

/** Every kind of problem. */
export const problemTable = {
  'invalid-argument': row('Invalid argument', 400, grpc.INVALID_ARGUMENT, 'never'),
  unauthenticated: row('Not authenticated', 401, grpc.UNAUTHENTICATED, 'slowly'),
  'permission-denied': row('Permission denied', 403, grpc.PERMISSION_DENIED, 'slowly'),
  'not-found': row('Not found', 404, grpc.NOT_FOUND, 'caller-decides'),
  /** The id exists with other creation arguments; `field` names the first that differs. */
  'already-exists': row('Already exists', 409, grpc.ALREADY_EXISTS, 'never'),
  /** Something holds the object; `blocker` names it. */
  'in-use': row('In use', 409, grpc.FAILED_PRECONDITION, 'with-backoff'),
  'failed-precondition': row('Failed precondition', 409, grpc.FAILED_PRECONDITION, 'with-backoff'),
  aborted: row('Aborted', 409, grpc.ABORTED, 'soon'),
  'out-of-range': row('Out of range', 422, grpc.OUT_OF_RANGE, 'never'),
  'too-many-requests': row('Too many requests', 429, grpc.RESOURCE_EXHAUSTED, 'after-delay'),
  /** A broken invariant of ours; `instance` is an id that the daemon's log carries too. */
  internal: row('Internal error', 500, grpc.INTERNAL, 'with-backoff'),
  'data-loss': row('Data loss', 500, grpc.DATA_LOSS, 'never'),
  unavailable: row('Unavailable', 503, grpc.UNAVAILABLE, 'with-backoff'),
  'deadline-exceeded': row('Deadline exceeded', 504, grpc.DEADLINE_EXCEEDED, 'same-call'),
  'insufficient-space': row('Insufficient space', 507, grpc.RESOURCE_EXHAUSTED, 'with-backoff'),
} as const;

/** The stable name of a problem. */
export type ProblemKind = keyof typeof problemTable;

/** All kinds, in the order of their HTTP status. */
export const problemKinds = Object.keys(problemTable) as readonly ProblemKind[];

const typePrefix = 'https://varve.dev/problems/';

/**
 * Problem details as of RFC 9457, with `kind`, `field`, `blocker` and `retryAfterSeconds` as extension
 * members.
 */
export const problemDetailsSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int().min(400).max(599),
    detail: z.string(),
    instance: z.string().optional(),
    kind: z.enum(Object.keys(problemTable) as [ProblemKind, ...ProblemKind[]]),
    field: z.string().optional(),
    blocker: z.string().optional(),
    retryAfterSeconds: z.number().optional(),
  })
  .meta({ id: 'Problem' });

/** The body of every answer that is not a success; content type `application/problem+json`. */
export type ProblemDetails = z.output<typeof problemDetailsSchema>;

/** What a problem says besides its kind and its sentence. */
export interface ProblemContext {
  /** The argument at fault, as a path: `source.snapshot`. */
  readonly field?: string | undefined;
  /** What stands in the way: `snapshot/abc`, `2 NBD connections`. */
  readonly blocker?: string | undefined;
  readonly retryAfterSeconds?: number | undefined;
  /** Names this occurrence in the daemon's log. */
  readonly instance?: string | undefined;
  readonly cause?: unknown;
}

/**
 * An expected failure of a call to the daemon. Callers switch on `kind`; `message` starts with the attempted
 * action.
 */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly kind: ProblemKind;
  readonly field: string | undefined;
  readonly blocker: string | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly instance: string | undefined;

  constructor(kind: ProblemKind, message: string, context: ProblemContext = {}) {
    super(message, context.cause === undefined ? undefined : { cause: context.cause });
    this.kind = kind;
    this.field = context.field;
    this.blocker = context.blocker;
    this.retryAfterSeconds = context.retryAfterSeconds;
    this.instance = context.instance;
  }

  /** Whether, and when, the same call can succeed. */
  get retry(): RetryAdvice {
    return problemTable[this.kind].retry;
  }
}

/** Tells a ProblemError from any other value, also one of another realm or copy of this package. */
export function isProblemError(error: unknown): error is ProblemError {
  return (
    typeof error === 'object' &&
    error !== null &&
    (error as { name?: unknown }).name === 'ProblemError' &&
    Object.hasOwn(problemTable, String((error as { kind?: unknown }).kind))
  );
}

/** The body that carries a problem over HTTP. */
export function toProblemDetails(error: ProblemError): ProblemDetails {
  const { title, httpStatus } = problemTable[error.kind];
  return {
    type: typePrefix + error.kind,
    title,
    status: httpStatus,
    detail: error.message,
    kind: error.kind,
    ...(error.field !== undefined && { field: error.field }),
    ...(error.blocker !== undefined && { blocker: error.blocker }),
    ...(error.retryAfterSeconds !== undefined && { retryAfterSeconds: error.retryAfterSeconds }),
    ...(error.instance !== undefined && { instance: error.instance }),
  };
}

/** The exception that a body stands for. */
export function fromProblemDetails(details: ProblemDetails): ProblemError {
  return new ProblemError(details.kind, details.detail, details);
}

function row(title: string, httpStatus: number, grpcCode: number, retry: RetryAdvice): ProblemRow {
  return { title, httpStatus, grpcCode, retry };
}
