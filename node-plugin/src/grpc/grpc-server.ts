/**
 * gRPC on a unix socket: loads the definitions, turns handlers that return promises into calls, and errors
 * into status codes by the one table of problems.
 */
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  loadPackageDefinition,
  Server,
  ServerCredentials,
  status,
  type GrpcObject,
  type sendUnaryData,
  type ServerUnaryCall,
  type ServiceClientConstructor,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import type { Logger } from '@varve/common/logger';
import { isProblemError, problemTable } from '@varve/contract/problem';

const protoFolder = join(import.meta.dirname, '../../proto');
/** `sun_path` of unix(7) has room for 107 bytes and a zero. */
const socketPathBytesMax = 107;
/** Calls under way at a stop are given this long; what they have not done is found and done again. */
const drainTimeoutMs = 10_000;

/** gRPC's codes by their numbers, which the table of problems has. */
const statusCodes: ReadonlyMap<number, status> = new Map(
  Object.values(status)
    .filter((each) => typeof each === 'number')
    .map((each) => [each, each]),
);

/** Answers one kind of call; what it throws becomes the call's status. */
export type UnaryHandler = (request: unknown) => Promise<object>;

/** A service: its full name, the file that defines it, and its handlers by their names in the definition. */
export interface GrpcService {
  readonly name: string;
  readonly protoFile: string;
  readonly handlers: Readonly<Record<string, UnaryHandler>>;
}

/** A server on one socket. */
export class GrpcServer {
  readonly #server = new Server();
  readonly #log: Logger;
  readonly #socketPath: string;

  constructor(
    {
      socketPath,
      services,
    }: { readonly socketPath: string; readonly services: readonly GrpcService[] },
    { log }: { readonly log: Logger },
  ) {
    this.#socketPath = socketPath;
    this.#log = log;
    for (const { name, protoFile, handlers } of services) {
      const calls = Object.entries(handlers).map(([method, handler]) => [
        method,
        this.#unary(`${name}/${method}`, handler),
      ]);
      const implementation = Object.fromEntries(calls) as UntypedServiceImplementation;
      this.#server.addService(loadService(protoFile, name).service, implementation);
    }
  }

  /** Takes the place of whatever was at the socket's path. */
  async listen(): Promise<void> {
    const path = this.#socketPath;
    if (Buffer.byteLength(path) > socketPathBytesMax) {
      throw new Error(
        `Listening on ${JSON.stringify(path)} failed: a socket's path has at most ${socketPathBytesMax} bytes`,
      );
    }
    await mkdir(dirname(path), { recursive: true });
    await rm(path, { force: true });
    await new Promise<void>((resolve, reject) => {
      const credentials = ServerCredentials.createInsecure();
      this.#server.bindAsync(`unix:${path}`, credentials, (error) => {
        if (error === null) resolve();
        else reject(new Error(`Listening on ${path} failed: ${error.message}`, { cause: error }));
      });
    });
  }

  /** Removes the socket, lets calls under way finish, and ends the rest. May be called twice. */
  async close(): Promise<void> {
    await rm(this.#socketPath, { force: true });
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.#server.forceShutdown(), drainTimeoutMs);
      this.#server.tryShutdown(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #unary(name: string, handler: UnaryHandler) {
    return (call: ServerUnaryCall<unknown, object>, answer: sendUnaryData<object>): void => {
      // Requests may carry secrets: neither they nor their fields are logged here.
      handler(call.request).then(
        (response) => answer(null, response),
        (error: unknown) => {
          const { code, details } = statusOf(error);
          const level = code === status.INTERNAL ? 'error' : 'warn';
          this.#log[level]({ call: name, code: status[code], err: error }, 'call failed');
          answer({ code, details });
        },
      );
    };
  }
}

/** The client's and the server's side of a service. */
export function loadService(protoFile: string, name: string): ServiceClientConstructor {
  const definition = loadSync(protoFile, {
    includeDirs: [protoFolder],
    // A size may be larger than what a double counts exactly.
    longs: String,
    enums: String,
    defaults: true,
    oneofs: true,
  });
  let found: GrpcObject[string] = loadPackageDefinition(definition);
  for (const part of name.split('.')) found = (found as GrpcObject)[part] as GrpcObject[string];
  return found as ServiceClientConstructor;
}

function statusOf(error: unknown): { readonly code: status; readonly details: string } {
  if (isProblemError(error)) {
    const code = statusCodes.get(problemTable[error.kind].grpcCode) ?? status.UNKNOWN;
    return { code, details: error.message };
  }
  return { code: status.INTERNAL, details: (error as Error).message };
}
