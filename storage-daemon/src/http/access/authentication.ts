/**
 * Who calls: by the certificate that the caller has shown (mutual TLS), else by a bearer token (RFC 6750). Tokens are
 * in a file, so that they can be changed without a restart and never show in a process list. They are looked up by
 * their digest, so how long that takes tells nothing about how much of a token is right.
 */
import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

import { ProblemError } from '@varve/contract/problem';
import type { Role } from '@varve/contract/role';

import type { Caller } from './caller.ts';
import type { CertificateRoles } from './certificate-roles.ts';
import { parseRoleLines } from './role-lines.ts';
import { WatchedFiles, type WatchedFilesDependencies } from './watched-files.ts';

/** Shorter tokens could be guessed. */
const tokenLengthMin = 16;
/** A file that holds nothing but a token gives this role. */
const aloneRole: Role = 'admin';

/** The tokens of a file, read again when the file changes. */
export class TokenFile {
  readonly #files: WatchedFiles<ReadonlyMap<string, Caller>>;

  /** @throws ProblemError `invalid-argument` if there are no usable tokens in the file. */
  constructor(path: string, dependencies: WatchedFilesDependencies) {
    this.#files = new WatchedFiles(
      { paths: [path], what: 'token file' },
      ([text = '']) => readTokens(text),
      dependencies,
    );
  }

  /** Whose token this is; undefined if nobody's. */
  find(presented: string): Caller | undefined {
    return this.#files.content.get(digestOf(presented));
  }
}

/** Ways to prove who one is; at least one of them. */
export interface AuthenticatorOptions {
  readonly tokens: TokenFile | undefined;
  readonly certificates: CertificateRoles | undefined;
}

/** Finds out who calls on one listener. */
export class Authenticator {
  readonly #tokens: TokenFile | undefined;
  readonly #certificates: CertificateRoles | undefined;

  constructor({ tokens, certificates }: AuthenticatorOptions) {
    this.#tokens = tokens;
    this.#certificates = certificates;
  }

  /** @throws ProblemError `unauthenticated` */
  authenticate(socket: Socket, authorization: string | undefined): Caller {
    const certificate = this.#certificates && shownCertificate(socket as TLSSocket);
    if (certificate !== undefined) {
      if (!(socket as TLSSocket).authorized) {
        // Which of the many things is wrong with it: expired, another authority, revoked.
        throw refuse(
          `the certificate is not valid: ${String((socket as TLSSocket).authorizationError)}`,
        );
      }
      const caller = this.#certificates?.find(certificate);
      if (caller === undefined) throw refuse(this.#certificates!.explainUnknown(certificate));
      return caller;
    }
    const presented = /^Bearer +([^\s]+)$/i.exec(authorization ?? '')?.[1];
    if (this.#tokens === undefined) throw refuse('a client certificate is needed');
    if (presented === undefined) {
      const other = this.#certificates ? ', and so is a client certificate' : '';
      throw refuse(`the header "Authorization: Bearer <token>" is missing${other}`);
    }
    const caller = this.#tokens.find(presented);
    if (caller === undefined) throw refuse("the token is not this daemon's");
    return caller;
  }
}

type PeerCertificate = ReturnType<TLSSocket['getPeerCertificate']>;

/** An empty object is what Node.js gives if there is none. */
function shownCertificate(socket: TLSSocket): PeerCertificate | undefined {
  const certificate = socket.getPeerCertificate();
  return certificate.raw === undefined ? undefined : certificate;
}

function refuse(why: string): ProblemError {
  return new ProblemError('unauthenticated', `Authenticating the request failed: ${why}`);
}

function readTokens(text: string): ReadonlyMap<string, Caller> {
  const checkKey = (token: string): string | undefined =>
    token.length < tokenLengthMin
      ? `a token must have at least ${tokenLengthMin} characters`
      : undefined;
  const byToken = parseRoleLines(text, { aloneRole, checkKey });
  return new Map([...byToken].map(([token, caller]) => [digestOf(token), caller]));
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('base64');
}
