/** The addresses on which the daemon listens, as they stand in its configuration. */
import { isIP } from 'node:net';

import { isLoopback } from '@varve/contract/client/endpoint';

import type { NbdListenAddress, NvmeListenAddress } from './reactor/messages.ts';

/** Where the REST API listens. */
export type HttpListenAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'http' | 'https'; readonly host: string; readonly port: number };

/**
 * Reads `unix:///path`, `http://127.0.0.1:port` or `https://host:port`; port 0 lets the kernel choose.
 *
 * @returns the address, or what is wrong with it.
 */
export function parseHttpListenAddress(text: string): HttpListenAddress | string {
  const allowed = 'allowed are unix:///path, http://127.0.0.1:port and https://address:port';
  const url = parseListenUrl(text, ['http', 'https']);
  if (typeof url === 'string') return `${url}; ${allowed}`;
  if (url.kind === 'unix') return url;
  if (url.scheme === 'http' && !isLoopback(url.hostname)) {
    return `plain http is for loopback only; ${allowed}`;
  }
  return { kind: url.scheme as 'http' | 'https', host: url.host, port: url.port };
}

/**
 * Reads `unix:///path` or `tcp://127.0.0.1:port`; port 0 lets the kernel choose.
 *
 * @returns the address, or what is wrong with it.
 */
export function parseNbdListenAddress(text: string): NbdListenAddress | string {
  const allowed = 'allowed are unix:///path and tcp://127.0.0.1:port';
  const url = parseListenUrl(text, ['tcp']);
  if (typeof url === 'string') return `${url}; ${allowed}`;
  if (url.kind === 'unix') return url;
  if (!isLoopback(url.hostname)) return `NBD without TLS is for loopback only; ${allowed}`;
  return { kind: 'tcp', host: url.host, port: url.port };
}

/**
 * Reads `tcp://address:port`; port 0 lets the kernel choose. Hosts are told this address, so it must be one that they
 * can connect to.
 *
 * @returns the address, or what is wrong with it.
 */
export function parseNvmeListenAddress(text: string): NvmeListenAddress | string {
  const allowed = 'allowed is tcp://address:port, with the address that hosts connect to';
  const url = parseListenUrl(text, ['tcp']);
  if (typeof url === 'string') return `${url}; ${allowed}`;
  if (url.kind === 'unix') return `NVMe/TCP needs an address of the network; ${allowed}`;
  if (isIP(url.host) === 0) return `hosts are told addresses, not names; ${allowed}`;
  const isAny = /^[0.:]+$/.test(url.host);
  if (isAny) return `hosts cannot be told to connect to ${url.host}; ${allowed}`;
  return { host: url.host, port: url.port };
}

type ListenUrl =
  | { readonly kind: 'unix'; readonly path: string }
  | {
      readonly kind: 'port';
      readonly scheme: string;
      /** As in a URL, IPv6 in brackets. */
      readonly hostname: string;
      /** As sockets want it. */
      readonly host: string;
      readonly port: number;
    };

function parseListenUrl(text: string, schemes: readonly string[]): ListenUrl | string {
  const match = /^([a-z]+):\/\/(.*)$/.exec(text);
  if (!match) return 'it has no scheme';
  const [, scheme = '', rest = ''] = match;
  if (scheme === 'unix') {
    if (!rest.startsWith('/') || rest.length < 2) return 'the path must be absolute';
    // From unix(7): sun_path holds 108 bytes, a terminating zero included.
    if (Buffer.byteLength(rest) > 107) return 'the path of a socket has at most 107 bytes';
    return { kind: 'unix', path: rest };
  }
  if (!schemes.includes(scheme)) return `the scheme ${scheme} is not known here`;
  const place = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):(\d{1,5})\/?$/.exec(rest);
  const port = Number(place?.[2]);
  if (place?.[1] === undefined || port > 65_535) return 'host and port are expected';
  const hostname = place[1];
  return { kind: 'port', scheme, hostname, host: hostname.replace(/^\[|\]$/g, ''), port };
}
