import { describe, expect, test } from '@jest/globals';

import { parseEndpoint } from './endpoint.ts';

describe('parseEndpoint()', () => {
  test.each([
    [
      'unix:///run/varve/daemon.sock',
      { kind: 'unix', socketPath: '/run/varve/daemon.sock', origin: 'http://localhost' },
    ],
    [
      'unix:///tmp/with%20space/d.sock',
      { kind: 'unix', socketPath: '/tmp/with space/d.sock', origin: 'http://localhost' },
    ],
    ['http://127.0.0.1:8080', { kind: 'http', origin: 'http://127.0.0.1:8080' }],
    ['http://localhost:1', { kind: 'http', origin: 'http://localhost:1' }],
    ['http://[::1]:8080', { kind: 'http', origin: 'http://[::1]:8080' }],
    ['https://node-1.example:9443', { kind: 'https', origin: 'https://node-1.example:9443' }],
  ])('takes %s', (text, expected) => {
    expect(parseEndpoint(text)).toEqual(expected);
  });

  test.each([
    ['http://10.0.0.7:80', 'plain http is for loopback only'],
    ['http://127.0.0.1.example.com', 'plain http is for loopback only'],
    ['unix://relative/path', 'it names no absolute path'],
    ['unix:///', 'it names no absolute path'],
    ['ftp://host', 'unknown scheme'],
    ['node-1:9443x', 'unknown scheme'],
    ['', 'it is not a URL'],
    ['https://host:1/path', 'it has more than a host and a port'],
    ['https://user:pw@host:1', 'it has more than a host and a port'],
  ])('refuses %j: %s', (text, why) => {
    expect(() => parseEndpoint(text)).toThrow(why);
    expect(() => parseEndpoint(text)).toThrow('allowed are unix:///path/of/socket');
  });
});
