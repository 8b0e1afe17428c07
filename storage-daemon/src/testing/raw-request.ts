/** Requests that the typed client would never send. */
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';

/** One request, as it goes over the wire. */
export interface RawRequest {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** PEM of the authority that a https server is trusted by. */
  readonly certificateAuthority?: string;
}

/** What came back. */
export interface RawAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
  /** The text as JSON; undefined if it is none. */
  readonly json: unknown;
}

/** Sends a request to an endpoint of the daemon. */
export function rawRequest(endpoint: string, request: RawRequest): Promise<RawAnswer> {
  const { method, path, headers = {}, body, certificateAuthority: ca } = request;
  const options = endpoint.startsWith('unix://')
    ? { socketPath: endpoint.slice('unix://'.length) }
    : { host: new URL(endpoint).hostname, port: new URL(endpoint).port };
  const send = endpoint.startsWith('https') ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const sent = send({ ...options, method, path, headers, ca, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({
          status: response.statusCode ?? 0,
          contentType: response.headers['content-type'] ?? '',
          headers: response.headers,
          text,
          json: parseJson(text),
        });
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
