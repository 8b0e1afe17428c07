/** The kubeconfig with which kubectl and client libraries reach the server. */
import { stringify } from 'yaml';

/** What it leads to. */
export interface KubeconfigTarget {
  readonly url: string;
  readonly token: string | undefined;
  /** Name of the context, shown by `kubectl config current-context`. */
  readonly name: string;
}

/** The text of a kubeconfig. */
export function formatKubeconfig({ url, token, name }: KubeconfigTarget): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    // Client libraries refuse plain http unless they are told not to expect TLS.
    clusters: [{ name, cluster: { server: url, 'insecure-skip-tls-verify': true } }],
    users: [{ name, user: token === undefined ? {} : { token } }],
    contexts: [{ name, context: { cluster: name, user: name, namespace: 'default' } }],
    'current-context': name,
  });
}
