/** Turns what undici throws and what a server answers into problems of the one table. */
import { fromProblemDetails, problemDetailsSchema, ProblemError } from '../problem.ts';

/** Codes of undici for "no answer in time". */
const timeoutCodes = new Set([
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'ETIMEDOUT',
]);

/**
 * The problem behind a call without an answer. Errors of Node's core and undici are asked for their code,
 * never for their class: under a test runner's realms the class is another one.
 */
export function problemOfTransport(action: string, where: string, error: unknown): ProblemError {
  const { code, message } = innermost(error);
  if (timeoutCodes.has(code)) {
    return new ProblemError(
      'deadline-exceeded',
      `${action} at ${where} failed: no answer in time`,
      {
        cause: error,
      },
    );
  }
  return new ProblemError(
    'unavailable',
    `${action} failed: the daemon at ${where} cannot be reached (${code === '' ? message : code})`,
    { cause: error },
  );
}

/** The problem that an answer other than a success carries. */
export function problemOfAnswer(action: string, status: number, text: string): ProblemError {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    parsed = undefined;
  }
  const details = problemDetailsSchema.safeParse(parsed);
  if (details.success) return fromProblemDetails(details.data);
  return new ProblemError(
    status === 503 || status === 502 ? 'unavailable' : 'internal',
    `${action} failed: the answer has status ${status} and is no problem document: ` +
      JSON.stringify(text.slice(0, 200)),
  );
}

function innermost(error: unknown): { readonly code: string; readonly message: string } {
  let code = '';
  let message = String(error);
  // undici nests at most a few causes; a bound keeps a cycle from hanging us.
  for (
    let depth = 0, each = error;
    depth < 5 && typeof each === 'object' && each !== null;
    depth++
  ) {
    const fields = each as { code?: unknown; message?: unknown; cause?: unknown };
    if (typeof fields.code === 'string') code = fields.code;
    if (typeof fields.message === 'string' && fields.message !== '') message = fields.message;
    each = fields.cause;
  }
  return { code, message };
}
