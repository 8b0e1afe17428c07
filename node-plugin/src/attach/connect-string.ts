/** What `/dev/nvme-fabrics` is told: options of the Linux kernel's NVMe host, separated by commas. */
import type { Portal } from '@varve/contract/kubernetes/attachment-metadata';
import { ProblemError } from '@varve/contract/problem';
import type { HostIdentity } from './host-identity.ts';

/** How the kernel behaves when a path breaks. */
export interface PathOptions {
  /** Between two attempts to connect again. */
  readonly reconnectDelaySeconds: number;
  /** After this long without a path I/O fails and the device goes; -1 waits for ever. */
  readonly lossTimeoutSeconds: number;
}

/** Keys of DH-HMAC-CHAP, as `nvme gen-dhchap-key` prints them. */
export interface HostKeys {
  readonly hostKey?: string | undefined;
  /** By which the daemon proves itself. */
  readonly controllerKey?: string | undefined;
}

/** What a path leads to, and from where. */
export interface ConnectRequest {
  readonly subsystemNqn: string;
  readonly portal: Portal;
  readonly identity: HostIdentity;
  readonly path: PathOptions;
  readonly keys: HostKeys;
}

const keyPattern = /^DHHC-1:0[0-3]:[A-Za-z0-9+/]+={0,2}:$/;

/** The connect string. It carries the keys: never log it. */
export function formatConnectString(request: ConnectRequest): string {
  const { portal, identity, path, keys } = request;
  const options: (readonly [name: string, value: string | number])[] = [
    ['transport', 'tcp'],
    ['traddr', portal.host],
    ['trsvcid', portal.port],
    ['nqn', request.subsystemNqn],
    ['hostnqn', identity.hostNqn],
    ['hostid', identity.hostId],
    ['reconnect_delay', path.reconnectDelaySeconds],
    ['ctrl_loss_tmo', path.lossTimeoutSeconds],
  ];
  if (keys.hostKey !== undefined) options.push(['dhchap_secret', checkedKey('hostKey', keys)]);
  if (keys.controllerKey !== undefined) {
    options.push(['dhchap_ctrl_secret', checkedKey('controllerKey', keys)]);
  }
  for (const [name, value] of options) {
    if (!/[,\n]/.test(String(value))) continue;
    throw new ProblemError('invalid-argument', `Connecting failed: ${name} has a comma in it`);
  }
  return options.map(([name, value]) => `${name}=${value}`).join(',');
}

function checkedKey(field: keyof HostKeys, keys: HostKeys): string {
  const key = keys[field] ?? '';
  if (keyPattern.test(key)) return key;
  throw new ProblemError(
    'invalid-argument',
    `Connecting failed: the secret ${field} has not the form DHHC-1:0<0 to 3>:<base64>:, ` +
      'as "nvme gen-dhchap-key" prints it',
    { field },
  );
}
