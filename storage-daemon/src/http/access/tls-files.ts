/**
 * Certificate and key of the https listeners, and the authority that clients' certificates are checked with. When the
 * files change, connections that come later than a second get what is new; those that are open keep what they have.
 */
import { constants } from 'node:crypto';
import { createSecureContext, type SecureContextOptions, type Server } from 'node:tls';

import { WatchedFiles, type WatchedFilesDependencies } from './watched-files.ts';

/** Paths of PEM files. */
export interface TlsFilePaths {
  readonly certificateFile: string;
  readonly keyFile: string;
  /** Certificates that clients' certificates are signed by; undefined: clients have none. */
  readonly clientAuthorityFile: string | undefined;
}

/** The files of the https listeners. */
export class TlsFiles {
  /** True if clients are asked for a certificate. */
  readonly asksClients: boolean;
  readonly #files: WatchedFiles<SecureContextOptions>;

  /** @throws ProblemError `invalid-argument` if they cannot be used. */
  constructor(paths: TlsFilePaths, dependencies: WatchedFilesDependencies) {
    const { certificateFile, keyFile, clientAuthorityFile } = paths;
    this.asksClients = clientAuthorityFile !== undefined;
    const all = [certificateFile, keyFile, ...(clientAuthorityFile ? [clientAuthorityFile] : [])];
    this.#files = new WatchedFiles({ paths: all, what: 'TLS files' }, readContext, dependencies);
  }

  /** What a TLS server is made with now. */
  get options(): SecureContextOptions {
    return this.#files.content;
  }

  /** Lets a server use what the files hold at each new connection. */
  follow(server: Server): void {
    let current = this.options;
    // Before the listener that begins the handshake.
    server.prependListener('connection', () => {
      const { options } = this;
      if (options === current) return;
      current = options;
      server.setSecureContext(options);
    });
  }
}

function readContext([cert = '', key = '', ca]: readonly string[]): SecureContextOptions {
  const options: SecureContextOptions = {
    cert,
    key,
    minVersion: 'TLSv1.2',
    // A resumed session would stand for a certificate that an authority which is gone has signed.
    secureOptions: constants.SSL_OP_NO_TICKET,
    ...(ca !== undefined && { ca }),
  };
  // Throws if the key is not the certificate's.
  createSecureContext(options);
  return options;
}
