import { Writable } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import type { FastifyRequest } from 'fastify';

import { createLogger } from '@varve/common/logger';
import { ProblemError } from '@varve/contract/problem';

import { parseJsonBody, toProblem } from './problem-replies.ts';

const request = { method: 'GET', url: '/v1/info' } as FastifyRequest;

function logTo(lines: string[]) {
  const write = (chunk: Buffer, _: unknown, done: () => void): void => {
    lines.push(chunk.toString());
    done();
  };
  return createLogger({ name: 'test', stream: new Writable({ write }) });
}

describe('toProblem()', () => {
  test('passes problems through', () => {
    const problem = new ProblemError('in-use', 'Deleting it failed');
    expect(toProblem(problem, request, logTo([]))).toBe(problem);
  });

  test('hides what it does not expect behind an id that the log carries', () => {
    const lines: string[] = [];
    const problem = toProblem(new TypeError('secret is undefined'), request, logTo(lines));
    expect(problem.kind).toBe('internal');
    expect(problem.message).not.toContain('secret');
    expect(problem.instance).toMatch(/^urn:uuid:[0-9a-f-]{36}$/);
    expect(problem.message).toContain(problem.instance);
    expect(lines.join('')).toContain(problem.instance);
    expect(lines.join('')).toContain('secret is undefined');
  });

  test('tells a call that takes too long from a failure', () => {
    const error = Object.assign(new Error('x'), { code: 'FST_ERR_HANDLER_TIMEOUT' });
    expect(toProblem(error, request, logTo([])).kind).toBe('deadline-exceeded');
  });
});

describe('parseJsonBody()', () => {
  test('refuses keys that reach prototypes, at any depth', () => {
    expect(parseJsonBody('{"a": {"b": [1]}}')).toEqual({ a: { b: [1] } });
    expect(() => parseJsonBody('{"a": [{"__proto__": {}}]}')).toThrow('"__proto__" is not allowed');
  });
});
