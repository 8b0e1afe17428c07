/** The way from the operator to a storage daemon, on which a call gate can make calls fail. */
import {
  createServer,
  request,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { ProblemError, toProblemDetails } from '@varve/contract/problem';
import type { CallGate } from './call-gate.ts';

/** Forwards HTTP requests to a unix socket. */
export class DaemonGateway {
  readonly #server: Server;
  #heldCount = 0;
  #heldCountMax = 0;

  private constructor(socketPath: string, gate: CallGate) {
    this.#server = createServer((incoming, response) => {
      const verdict = gate.judge(incoming.method ?? '', incoming.url ?? '');
      if (verdict === 'drop') incoming.destroy();
      else if (verdict === 'hold') this.#hold(response);
      else if (verdict === 'refuse') refuse(response, 'unavailable');
      else if (verdict === 'conflict') refuse(response, 'aborted');
      else forward({ socketPath, incoming, response, isAnswerLost: verdict === 'lose-answer' });
    });
  }

  static async start(socketPath: string, gate: CallGate): Promise<DaemonGateway> {
    const gateway = new DaemonGateway(socketPath, gate);
    gateway.#server.listen(0, '127.0.0.1');
    await once(gateway.#server, 'listening');
    return gateway;
  }

  /** Where the operator finds the daemon. */
  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** How many calls went without an answer at once, at most. */
  get heldCountMax(): number {
    return this.#heldCountMax;
  }

  #hold(response: ServerResponse): void {
    this.#heldCount += 1;
    this.#heldCountMax = Math.max(this.#heldCountMax, this.#heldCount);
    response.once('close', () => {
      this.#heldCount -= 1;
    });
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }
}

function refuse(response: ServerResponse, kind: 'unavailable' | 'aborted'): void {
  const details = toProblemDetails(new ProblemError(kind, 'the test refuses this call'));
  response.writeHead(details.status, { 'content-type': 'application/problem+json' });
  response.end(JSON.stringify(details));
}

interface Forwarded {
  readonly socketPath: string;
  readonly incoming: IncomingMessage;
  readonly response: ServerResponse;
  readonly isAnswerLost: boolean;
}

function forward({ socketPath, incoming, response, isAnswerLost }: Forwarded): void {
  const { method, url: path, headers } = incoming;
  const outgoing = request({ socketPath, method, path, headers }, (answer) => {
    if (isAnswerLost) {
      answer.resume();
      answer.on('end', () => response.destroy());
      return;
    }
    response.writeHead(answer.statusCode ?? 500, answer.headers);
    answer.pipe(response);
  });
  outgoing.on('error', () => response.destroy());
  incoming.pipe(outgoing);
}
