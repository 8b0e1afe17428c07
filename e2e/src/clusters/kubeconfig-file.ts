/** Writes kubeconfig files. JSON is YAML, so both kubectl and the operator read it. */
import { writeFileSync } from 'node:fs';

/** Where a server is and how to prove who one is. */
export interface KubeconfigOptions {
  readonly server: string;
  readonly token?: string;
  /** PEM file of the authority that signed the server's certificate. */
  readonly certificateAuthorityFile?: string;
  /** The name to check the certificate for, where it differs from the address. */
  readonly tlsServerName?: string;
}

/** Writes a kubeconfig with one cluster, one user and one context. */
export function writeKubeconfig(file: string, options: KubeconfigOptions): void {
  const cluster = {
    server: options.server,
    ...(options.certificateAuthorityFile === undefined
      ? {}
      : { 'certificate-authority': options.certificateAuthorityFile }),
    ...(options.tlsServerName === undefined ? {} : { 'tls-server-name': options.tlsServerName }),
  };
  const user = options.token === undefined ? {} : { token: options.token };
  const kubeconfig = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'varve', cluster }],
    users: [{ name: 'varve', user }],
    contexts: [{ name: 'varve', context: { cluster: 'varve', user: 'varve' } }],
    'current-context': 'varve',
  };
  writeFileSync(file, `${JSON.stringify(kubeconfig, null, 2)}\n`, { mode: 0o600 });
}
