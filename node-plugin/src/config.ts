/**
 * The node plugin's configuration. Each value comes from a flag, else from an environment variable, else from
 * its default; all are checked by the same schema, and an error names where the value came from.
 */
import { hostname } from 'node:os';
import { logLevels } from '@varve/common/logger';
import { Command } from 'commander';
import { z } from 'zod';
import { nodePluginVersion } from './version.ts';

const absolutePath = z.string().startsWith('/', 'must be an absolute path');

const configSchema = z.strictObject({
  nodeName: z.string().min(1).max(253).default(hostname()),
  driverName: z
    .string()
    .regex(/^[a-zA-Z]([-a-zA-Z0-9.]{0,61}[a-zA-Z])?$/, 'must be the name of a CSI driver')
    .default('csi.varve.dev'),
  kubeletFolder: absolutePath.default('/var/lib/kubelet'),
  stateFolder: absolutePath.default('/run/varve-node'),
  registration: z.enum(['own', 'none']).default('own'),
  topology: z
    .string()
    .regex(/^([^=,]+=[^=,]+(,[^=,]+=[^=,]+)*)?$/, 'must be label=value, several with commas')
    .default('')
    .transform(parseLabels),
  volumesMax: z.coerce.number<number>().int().min(0).max(10_000).default(0),
  reconnectDelaySeconds: z.coerce.number<number>().int().min(1).max(600).default(2),
  lossTimeoutSeconds: z.coerce.number<number>().int().min(-1).max(86_400).default(600),
  daemonTokenFile: absolutePath.optional(),
  daemonAuthorityFile: absolutePath.optional(),
  daemonCertificateFile: absolutePath.optional(),
  daemonKeyFile: absolutePath.optional(),
  freezeListen: z
    .string()
    .regex(/^(\[[0-9a-fA-F:]+\]|[^:]+):\d{1,5}$/, 'must be host:port, such as 192.0.2.1:9809')
    .optional(),
  freezeCertificateFile: absolutePath.optional(),
  freezeKeyFile: absolutePath.optional(),
  freezeAuthorityFile: absolutePath.optional(),
  logLevel: z.enum(logLevels).default('info'),
});

/** The node plugin's configuration, complete and checked. */
export type NodePluginConfig = z.output<typeof configSchema>;

type Key = keyof NodePluginConfig;

/** What `--help` says, in this order. */
const descriptions: Readonly<Record<Key, readonly [placeholder: string, text: string]>> = {
  nodeName: ['name', 'name of the Node that it runs on (default: the host name)'],
  driverName: ['name', 'the CSI driver that it is of (default: csi.varve.dev)'],
  kubeletFolder: ['path', "kubelet's root folder (default: /var/lib/kubelet)"],
  stateFolder: [
    'path',
    'for a small file per volume, empty after a boot (default: /run/varve-node)',
  ],
  registration: ['mode', 'own, or none where the official node-driver-registrar runs beside it'],
  topology: [
    'labels',
    'where volumes of this node can be reached: label=value,... (default: everywhere)',
  ],
  volumesMax: ['count', 'volumes that this node takes; 0 is no limit (default: 0)'],
  reconnectDelaySeconds: [
    'seconds',
    'between attempts to reach a daemon that went away (default: 2)',
  ],
  lossTimeoutSeconds: ['seconds', 'after which its volumes fail; -1 is never (default: 600)'],
  daemonTokenFile: ['path', 'bearer token for the REST API of the daemons, with the role node'],
  daemonAuthorityFile: ['path', 'certificates that those of the daemons are checked with'],
  daemonCertificateFile: ['path', 'certificate for the daemons, with the role node'],
  daemonKeyFile: ['path', 'its key'],
  freezeListen: ['host:port', 'serves freezes of file systems there; default: not at all'],
  freezeCertificateFile: ['path', 'its certificate'],
  freezeKeyFile: ['path', 'and the key of that'],
  freezeAuthorityFile: ['path', 'certificates that those of its callers are checked with'],
  logLevel: ['level', `one of ${logLevels.join(', ')} (default: info)`],
};

/** Options that are nothing without each other. */
const keysTogether: readonly (readonly Key[])[] = [
  ['daemonCertificateFile', 'daemonKeyFile'],
  ['freezeListen', 'freezeCertificateFile', 'freezeKeyFile', 'freezeAuthorityFile'],
];

const environmentPrefix = 'VARVE_NODE_';

/** A value that is not allowed; `message` names it, and what is. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/**
 * Reads flags and environment. Prints and ends the process where it is asked to (`--help`, `--version`).
 *
 * @throws ConfigError that names the value, its source and what is allowed.
 */
export function readConfig(sources: {
  readonly args: readonly string[];
  readonly environment: Readonly<NodeJS.ProcessEnv>;
}): NodePluginConfig {
  const command = createCommand();
  command.parse(sources.args, { from: 'user' });
  const flags = command.opts<Record<string, string | undefined>>();
  const values: Record<string, string> = {};
  const origins = new Map<string, string>();
  for (const key of Object.keys(descriptions)) {
    const variable = environmentNameOf(key);
    const flag = flags[key];
    const value = flag ?? sources.environment[variable];
    if (value === undefined) continue;
    values[key] = value;
    origins.set(key, flag === undefined ? variable : flagOf(key));
  }
  const result = configSchema.safeParse(values);
  if (!result.success) {
    const [issue] = result.error.issues;
    const key = String(issue?.path[0]);
    const what = `${origins.get(key)} is ${JSON.stringify(values[key])}`;
    throw new ConfigError(`Reading the configuration failed: ${what}: ${issue?.message}`);
  }
  for (const keys of keysTogether) {
    const given = keys.filter((key) => result.data[key] !== undefined);
    if (given.length === 0 || given.length === keys.length) continue;
    const flags = keys.map(flagOf).join(', ');
    throw new ConfigError(`Reading the configuration failed: ${flags} go together`);
  }
  return result.data;
}

function createCommand(): Command {
  const command = new Command('varve-node')
    .description(
      'Attaches Varve volumes over NVMe/TCP and mounts them in pods, as kubelet tells it (CSI).',
    )
    .version(nodePluginVersion)
    .addHelpText(
      'after',
      '\nEvery option is also an environment variable: --node-name is VARVE_NODE_NODE_NAME. Flags win.',
    );
  for (const [key, [placeholder, text]] of Object.entries(descriptions)) {
    command.option(`${flagOf(key)} <${placeholder}>`, text);
  }
  return command;
}

function parseLabels(text: string): Readonly<Record<string, string>> {
  if (text === '') return {};
  return Object.fromEntries(text.split(',').map((label) => label.split('=') as [string, string]));
}

function flagOf(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function environmentNameOf(key: string): string {
  return environmentPrefix + key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}
