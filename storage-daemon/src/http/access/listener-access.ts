/** What a listener asks of its callers, from the configuration. */
import type { Logger } from '@varve/common/logger';

import type { HttpListenAddress } from '../../listen-address.ts';
import { Authenticator, TokenFile } from './authentication.ts';
import { CertificateRoles } from './certificate-roles.ts';
import type { HttpServerOptions } from '../http-server.ts';
import { TlsFiles } from './tls-files.ts';

/** Paths of the files that decide who may call. */
export interface AccessFiles {
  readonly tokenFile: string | undefined;
  readonly tlsCertificateFile: string | undefined;
  readonly tlsKeyFile: string | undefined;
  readonly tlsClientAuthorityFile: string | undefined;
  readonly clientRolesFile: string | undefined;
}

/**
 * Opens the files of a listener.
 *
 * @throws ProblemError `invalid-argument` that names a file which cannot be used.
 */
export function openAccess(
  files: AccessFiles,
  { kind }: HttpListenAddress,
  logger: Logger,
): Pick<HttpServerOptions, 'tls' | 'authenticator'> {
  if (kind === 'unix') return { tls: undefined, authenticator: undefined };
  const dependencies = { nowMs: Date.now, warn: (message: string) => logger.warn(message) };
  const { tokenFile, tlsClientAuthorityFile, clientRolesFile } = files;
  const asksClients = kind === 'https' && tlsClientAuthorityFile !== undefined;
  const tokens = tokenFile === undefined ? undefined : new TokenFile(tokenFile, dependencies);
  const certificates = asksClients
    ? new CertificateRoles(clientRolesFile, dependencies)
    : undefined;
  const isOpen = tokens === undefined && certificates === undefined;
  const authenticator = isOpen ? undefined : new Authenticator({ tokens, certificates });
  if (kind === 'http') return { tls: undefined, authenticator };
  const tls = new TlsFiles(
    {
      certificateFile: files.tlsCertificateFile!,
      keyFile: files.tlsKeyFile!,
      clientAuthorityFile: tlsClientAuthorityFile,
    },
    dependencies,
  );
  return { tls, authenticator };
}
