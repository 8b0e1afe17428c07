/** Sends any bytes to the daemon's REST API, as a client that does not know the contract would. */
import { request, type RequestOptions } from 'node:http';

const timeoutMs = 30_000;
/** Problems are a few hundred bytes. */
const answerBytesMax = 1024 * 1024;

/** One request. */
export interface RawRequest {
  readonly method: string;
  readonly path: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What came back. */
export interface RawAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
}

/** Where to send it: a unix socket, or a port of the loopback interface. */
export type RawTarget = { readonly socketPath: string } | { readonly port: number };

/** Sends it and reads the whole answer. */
export async function sendRaw(target: RawTarget, call: RawRequest): Promise<RawAnswer> {
  const options: RequestOptions = {
    ...('port' in target ? { host: '127.0.0.1', port: target.port } : target),
    method: call.method,
    path: call.path,
    timeout: timeoutMs,
    headers: {
      ...(call.body === undefined
        ? {}
        : {
            'content-type': 'application/json',
            'content-length': String(Buffer.byteLength(call.body)),
          }),
      ...call.headers,
    },
  };
  return new Promise((resolve, reject) => {
    const sent = request(options, (response) => {
      const parts: Buffer[] = [];
      let bytes = 0;
      response.on('data', (part: Buffer) => {
        bytes += part.length;
        if (bytes <= answerBytesMax) parts.push(part);
        else response.destroy(new Error(`The answer has more than ${answerBytesMax} bytes`));
      });
      response.once('error', reject);
      response.once('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          contentType: response.headers['content-type'] ?? '',
          text: Buffer.concat(parts).toString('utf8'),
        }),
      );
    });
    sent.once('timeout', () => sent.destroy(new Error(`No answer within ${timeoutMs / 1000} s`)));
    sent.once('error', reject);
    sent.end(call.body);
  });
}
