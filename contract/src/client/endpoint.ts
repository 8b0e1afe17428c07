/** Where a daemon listens: `unix:///path`, `http://127.0.0.1:port` or `https://host:port`. */
import { ProblemError } from '../problem.ts';

/** A daemon's address, taken apart. */
export type Endpoint =
  | { readonly kind: 'unix'; readonly socketPath: string; readonly origin: string }
  | { readonly kind: 'http' | 'https'; readonly origin: string };

/**
 * Takes an address apart. Plain http is for loopback only: a token or data must not cross a network in the
 * clear.
 *
 * @throws ProblemError `invalid-argument` that says what is allowed.
 */
export function parseEndpoint(text: string): Endpoint {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const refuse = (why: string): never => {
    throw new ProblemError(
      'invalid-argument',
      `Reading the daemon's endpoint ${JSON.stringify(text)} failed: ${why}; ` +
        'allowed are unix:///path/of/socket, http://127.0.0.1:port and https://host:port',
      { field: 'endpoint' },
    );
  };
  if (url === undefined) return refuse('it is not a URL');
  if (url.protocol === 'unix:') {
    if (url.hostname !== '' || url.pathname.length < 2) return refuse('it names no absolute path');
    return {
      kind: 'unix',
      socketPath: decodeURIComponent(url.pathname),
      origin: 'http://localhost',
    };
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return refuse('unknown scheme');
  if (url.pathname !== '/' || url.search !== '' || url.username !== '') {
    return refuse('it has more than a host and a port');
  }
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    return refuse('plain http is for loopback only');
  }
  return { kind: url.protocol === 'http:' ? 'http' : 'https', origin: url.origin };
}

/** Whether a host name or address of a URL never leaves this machine. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
}
