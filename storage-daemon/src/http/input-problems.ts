/**
 * Turns what zod and Fastify find wrong with a request into one sentence that names the field and says what
 * is allowed.
 */
import { ProblemError } from '@varve/contract/problem';
import { z } from 'zod';

/** Which part of the request was checked. */
export type RequestPart = 'body' | 'querystring' | 'params' | 'headers';

const partNames: Readonly<Record<RequestPart, string>> = {
  body: 'the body',
  querystring: 'the query',
  params: 'the path',
  headers: 'the headers',
};

/** Sentences of one message: a client that sends nonsense needs the first few only. */
const issuesMax = 3;

/** The problem of a request that does not fit its schema. */
export function describeIssues(
  part: RequestPart,
  schema: z.ZodType,
  issues: readonly z.core.$ZodIssue[],
): ProblemError {
  const sentences = issues.slice(0, issuesMax).map((issue) => describeIssue(schema, issue));
  const more = issues.length > issuesMax ? ` (and ${issues.length - issuesMax} more)` : '';
  const first = issues[0];
  const unknown = first?.code === 'unrecognized_keys' ? first.keys.slice(0, 1) : [];
  const field = [...(first?.path ?? []), ...unknown].map(String).join('.');
  return new ProblemError(
    'invalid-argument',
    `Reading ${partNames[part]} failed: ${sentences.join('; ')}${more}`,
    field === '' ? {} : { field },
  );
}

function describeIssue(schema: z.ZodType, issue: z.core.$ZodIssue): string {
  const path = issue.path.map(String).join('.');
  const where = path === '' ? '' : `${path}: `;
  switch (issue.code) {
    case 'unrecognized_keys': {
      const keys = issue.keys.map((key) => JSON.stringify(key)).join(', ');
      const allowed = keysAt(schema, issue.path);
      const hint = allowed.length === 0 ? 'none is allowed' : `allowed are ${allowed.join(', ')}`;
      return `${where}unknown field ${keys}; ${hint}`;
    }
    case 'invalid_union': {
      const inner = issue.errors
        .map(([first]) => first?.message)
        .filter((each) => each !== undefined);
      return `${where}${inner.join(' or ')}`;
    }
    default:
      return where + issue.message.replace(/^Invalid input: /, '');
  }
}

/** The fields of the object at this path of the schema. */
function keysAt(schema: z.ZodType, path: readonly PropertyKey[]): readonly string[] {
  let at: unknown = unwrap(schema);
  for (const step of path) {
    if (at instanceof z.ZodObject) at = unwrap((at.shape as Record<PropertyKey, unknown>)[step]);
    else if (at instanceof z.ZodArray) at = unwrap(at.element);
    else return [];
  }
  return at instanceof z.ZodObject ? Object.keys(at.shape) : [];
}

function unwrap(schema: unknown): unknown {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault)
    return unwrap(schema.unwrap());
  return schema;
}
