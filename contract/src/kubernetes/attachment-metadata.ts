/**
 * What the attach step tells the node: `VolumeAttachment.status.attachmentMetadata`, which kubelet hands to the node
 * plugin as `publish_context`. Addresses change, so they stand here and never in a PersistentVolume. No secret is in
 * it: whoever may read VolumeAttachments would read that too.
 */
import { z } from 'zod';
import { ProblemError } from '../problem.ts';

/** Paths to one volume: more than a few only make attaching slow. */
const portalsMax = 8;

/** Where a daemon serves NVMe/TCP. */
export interface Portal {
  /** An address or a name, without brackets. */
  readonly host: string;
  readonly port: number;
}

/** What a node needs to attach a volume. */
export interface AttachmentMetadata {
  /** The name under which the node was granted access: `nqn.2014-08.org.nvmexpress:uuid:<UID of the Node>`. */
  readonly hostNqn: string;
  /** The volume's subsystem. */
  readonly subsystemNqn: string;
  /** Of its only namespace; small letters. */
  readonly namespaceUuid: string;
  /** The volume's size when access was granted. It never shrinks, and may have grown since. */
  readonly sizeBytes: number;
  /** One at least. */
  readonly portals: readonly Portal[];
  /** The daemon's REST API, where the state of the file system is kept. */
  readonly daemonEndpoint: string;
}

const portalPattern = /^tcp:\/\/(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})$/;

const metadataSchema = z.object({
  hostNqn: z
    .string()
    .regex(
      /^nqn\.2014-08\.org\.nvmexpress:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
      'must be nqn.2014-08.org.nvmexpress:uuid:<UID of the Node>',
    ),
  subsystemNqn: z.string().regex(/^nqn\.[!-+\--~]+$/, 'must be an NQN'),
  namespaceUuid: z.uuid('must be a UUID').transform((uuid) => uuid.toLowerCase()),
  sizeBytes: z
    .string()
    .regex(/^[1-9][0-9]{0,15}$/, 'must be a number of bytes')
    .transform(Number),
  portals: z.string().transform((text, context) => {
    const portals = text.split(' ').map(parsePortal);
    if (portals.length > portalsMax || portals.includes(undefined)) {
      const message = `must be 1 to ${portalsMax} of tcp://host:port, separated by blanks`;
      context.addIssue({ code: 'custom', message });
    }
    return portals.filter((portal) => portal !== undefined);
  }),
  daemonEndpoint: z.string().min(1),
});

/** The strings that stand in a VolumeAttachment. */
export function formatAttachmentMetadata(metadata: AttachmentMetadata): Record<string, string> {
  return {
    hostNqn: metadata.hostNqn,
    subsystemNqn: metadata.subsystemNqn,
    namespaceUuid: metadata.namespaceUuid,
    sizeBytes: String(metadata.sizeBytes),
    portals: metadata.portals.map(formatPortal).join(' '),
    daemonEndpoint: metadata.daemonEndpoint,
  };
}

/**
 * Reads the strings of a VolumeAttachment. Keys that are unknown are left to those who know them.
 *
 * @throws ProblemError `invalid-argument` that names the key and says what is allowed.
 */
export function parseAttachmentMetadata(
  strings: Readonly<Record<string, string>>,
): AttachmentMetadata {
  const result = metadataSchema.safeParse(strings);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const key = String(issue?.path[0]);
  throw new ProblemError(
    'invalid-argument',
    `Reading the attachment metadata failed: ${key} is ${JSON.stringify(strings[key])}: ${issue?.message}`,
    { field: key },
  );
}

/** `tcp://192.0.2.1:4420`. */
export function formatPortal({ host, port }: Portal): string {
  return `tcp://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function parsePortal(text: string): Portal | undefined {
  const [, host, port] = portalPattern.exec(text) ?? [];
  if (host === undefined || Number(port) < 1 || Number(port) > 65_535) return undefined;
  return { host: host.replace(/^\[|\]$/g, ''), port: Number(port) };
}
