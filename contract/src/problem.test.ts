import { describe, expect, test } from '@jest/globals';

import {
  fromProblemDetails,
  isProblemError,
  problemDetailsSchema,
  ProblemError,
  problemKinds,
  problemTable,
  toProblemDetails,
} from './problem.ts';

describe('the table of problems', () => {
  // Kind, HTTP status, gRPC code by number: what other programs rely on.
  test.each([
    ['invalid-argument', 400, 3, 'never'],
    ['unauthenticated', 401, 16, 'slowly'],
    ['permission-denied', 403, 7, 'slowly'],
    ['not-found', 404, 5, 'caller-decides'],
    ['already-exists', 409, 6, 'never'],
    ['in-use', 409, 9, 'with-backoff'],
    ['failed-precondition', 409, 9, 'with-backoff'],
    ['aborted', 409, 10, 'soon'],
    ['out-of-range', 422, 11, 'never'],
    ['too-many-requests', 429, 8, 'after-delay'],
    ['internal', 500, 13, 'with-backoff'],
    ['data-loss', 500, 15, 'never'],
    ['unavailable', 503, 14, 'with-backoff'],
    ['deadline-exceeded', 504, 4, 'same-call'],
    ['insufficient-space', 507, 8, 'with-backoff'],
  ] as const)('%s is HTTP %i, gRPC %i, retry %s', (kind, httpStatus, grpcCode, retry) => {
    expect(problemTable[kind]).toMatchObject({ httpStatus, grpcCode, retry });
    expect(new ProblemError(kind, 'Doing it failed').retry).toBe(retry);
  });

  test('has no kind that the list above leaves out', () => {
    expect(problemKinds).toHaveLength(15);
  });
});

describe('ProblemError', () => {
  test('survives the way over HTTP with all that it says', () => {
    const error = new ProblemError('in-use', 'Deleting volume "a" failed: it is open', {
      field: 'volume',
      blocker: '2 NBD connections',
      retryAfterSeconds: 3,
      instance: 'urn:uuid:1b671a64-40d5-491e-99b0-da01ff1f3341',
      cause: new Error('not for the wire'),
    });
    const wire: unknown = JSON.parse(JSON.stringify(toProblemDetails(error)));
    expect(wire).toEqual({
      type: 'https://varve.dev/problems/in-use',
      title: 'In use',
      status: 409,
      detail: 'Deleting volume "a" failed: it is open',
      kind: 'in-use',
      field: 'volume',
      blocker: '2 NBD connections',
      retryAfterSeconds: 3,
      instance: 'urn:uuid:1b671a64-40d5-491e-99b0-da01ff1f3341',
    });
    const back = fromProblemDetails(problemDetailsSchema.parse(wire));
    expect(back).toMatchObject({
      kind: 'in-use',
      message: error.message,
      field: 'volume',
      blocker: '2 NBD connections',
      retryAfterSeconds: 3,
    });
  });

  test('isProblemError() knows it by name and kind, not by class', () => {
    expect(isProblemError(new ProblemError('aborted', 'x'))).toBe(true);
    expect(isProblemError({ name: 'ProblemError', kind: 'aborted', message: 'x' })).toBe(true);
    expect(isProblemError({ name: 'ProblemError', kind: 'toString' })).toBe(false);
    expect(isProblemError(new Error('x'))).toBe(false);
    expect(isProblemError(undefined)).toBe(false);
  });
});
