/**
 * `/dev/nvme-fabrics`: one connect string in, one controller out. Errors of the kernel become sentences that a
 * person who reads the pod's events can act on.
 */
import { open } from 'node:fs/promises';
import { connect } from 'node:net';
import { formatPortal, type Portal } from '@varve/contract/kubernetes/attachment-metadata';
import { ProblemError, type ProblemKind } from '@varve/contract/problem';

const fabricsPath = '/dev/nvme-fabrics';
/** Long for a network of storage, short beside the minutes that the kernel would wait. */
const portalTimeoutMs = 5000;

const loadModule =
  'load the kernel module nvme-tcp on the node: "modprobe nvme-tcp", and for the next boot ' +
  '"echo nvme-tcp >/etc/modules-load.d/nvme-tcp.conf"';

/** Errors that Node has no name for, by number. */
const errorNumbers: Readonly<Record<number, string>> = { 126: 'ENOKEY', 129: 'EKEYREJECTED' };

const reasons: Readonly<Record<string, readonly [ProblemKind, string]>> = {
  ECONNREFUSED: ['unavailable', 'the daemon refuses the connection; is it running?'],
  ECONNRESET: ['unavailable', 'the daemon ended the connection; is it running?'],
  ETIMEDOUT: ['unavailable', 'the daemon does not answer; is a firewall in between?'],
  EHOSTUNREACH: ['unavailable', 'there is no route to the daemon'],
  ENETUNREACH: ['unavailable', 'there is no route to the daemon'],
  EIO: [
    'permission-denied',
    'the daemon refuses this host: access was not granted or has been revoked; ' +
      "look at the VolumeAttachment and the node's kernel log",
  ],
  EACCES: ['permission-denied', 'the daemon refuses this host'],
  EKEYREJECTED: [
    'permission-denied',
    'the DH-HMAC-CHAP key is wrong; compare the node-stage secret with the key at the daemon',
  ],
  ENOKEY: [
    'permission-denied',
    'the daemon demands a DH-HMAC-CHAP key; give it as hostKey in the node-stage secret',
  ],
  EPERM: ['failed-precondition', 'the plugin must run privileged'],
};

/** Throws `unavailable` when nothing takes a connection there. */
export async function probePortal({ host, port }: Portal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const socket = connect({ host, port });
    const end = (reason: string | undefined): void => {
      socket.destroy();
      if (reason === undefined) return resolve();
      const where = formatPortal({ host, port });
      const message = `Connecting to ${where} failed: ${reason}; look at the daemon and the network to it`;
      return reject(new ProblemError('unavailable', message));
    };
    socket.setTimeout(portalTimeoutMs, () => end(`no answer in ${portalTimeoutMs / 1000} s`));
    socket.once('connect', () => end(undefined));
    socket.once('error', (error) => end(error.message));
  });
}

/** Lets the kernel connect; returns when the controller is live. `hasTcp` tells whether the transport is there. */
export async function connectController(
  connectString: string,
  hasTcp: () => Promise<boolean>,
): Promise<void> {
  const file = await openFabrics();
  try {
    await file.write(connectString);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EALREADY') return;
    const [kind, reason] = reasons[code] ?? [
      'unavailable',
      `the kernel says ${code}; look at the node's kernel log`,
    ];
    if (code === 'EINVAL' && !(await hasTcp())) {
      throw new ProblemError('failed-precondition', loadModule, { cause: error });
    }
    throw new ProblemError(kind, reason, { cause: error });
  } finally {
    await file.close();
  }
}

async function openFabrics() {
  try {
    return await open(fabricsPath, 'r+');
  } catch (cause) {
    const code = codeOf(cause);
    const why =
      code === 'ENOENT' || code === 'ENODEV' || code === 'ENXIO'
        ? loadModule
        : `opening ${fabricsPath} gave ${code}; the plugin must run privileged, with the node's /dev`;
    throw new ProblemError('failed-precondition', why, { cause });
  }
}

function codeOf(error: unknown): string {
  const { code, errno } = error as { readonly code?: unknown; readonly errno?: unknown };
  const named = typeof errno === 'number' ? errorNumbers[Math.abs(errno)] : undefined;
  return named ?? String(code);
}
