/**
 * The operator's configuration. Each value comes from a flag, else from an environment variable, else from
 * the configuration file, else from its default; all are checked by the same schema, and an error names
 * where the value came from.
 */
import { readFileSync } from 'node:fs';
import { logLevels } from '@varve/common/logger';
import { Command, Option } from 'commander';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { operatorVersion } from './version.ts';

const addressPattern = /^(\[[0-9a-fA-F:]+\]|[^:]+):\d{1,5}$/;

const configSchema = z.strictObject({
  kubeconfig: z.string().optional(),
  driverName: z
    .string()
    .regex(/^[a-zA-Z0-9]([-a-zA-Z0-9.]{0,61}[a-zA-Z0-9])?$/, 'must be the name of a CSI driver')
    .default('csi.varve.dev'),
  listen: z
    .string()
    .regex(addressPattern, 'must be host:port, such as 127.0.0.1:9402')
    .default('127.0.0.1:0'),
  leaderElection: z.enum(['auto', 'on', 'off']).default('auto'),
  leaderElectionNamespace: z.string().min(1).optional(),
  snapshotController: z.enum(['auto', 'always', 'never']).default('auto'),
  orphanCheckSeconds: z.coerce.number<number>().int().min(1).max(86_400).default(600),
  orphanRemoval: z.enum(['on', 'off']).default('off'),
  orphanGraceSeconds: z.coerce.number<number>().int().min(1).max(31_536_000).default(86_400),
  workers: z.coerce.number<number>().int().min(1).max(1000).default(64),
  controllerWorkers: z
    .preprocess(parseCounts, z.record(z.string(), z.int().min(1).max(1000)))
    .default({}),
  listedObjects: z
    .string()
    .regex(/^[^/]+\/[^/]+$/, 'must be <namespace>/<name> of a ConfigMap')
    .optional(),
  apiRate: z.coerce.number<number>().positive().max(100_000).default(1000),
  apiBurst: z.coerce.number<number>().int().positive().max(100_000).default(2000),
  apiConnections: z.coerce.number<number>().int().min(1).max(1000).default(64),
  logLevel: z.enum(logLevels).default('info'),
});

/** `a=1,b=2` of a flag or variable; the file has a map already. What is no number is left for the schema to refuse. */
function parseCounts(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  const entries = value.split(',').map((each): [string, unknown] => {
    const [name = '', count = ''] = each.split('=');
    return [name.trim(), /^\d+$/.test(count) ? Number(count) : count];
  });
  return Object.fromEntries(entries);
}

/** The operator's configuration, complete and checked. */
export type OperatorConfig = z.output<typeof configSchema>;

type Key = keyof OperatorConfig;

/** What `--help` says, in this order. */
const descriptions: Readonly<Record<Key, readonly [placeholder: string, text: string]>> = {
  kubeconfig: ['file', 'kubeconfig of the API server; default: $KUBECONFIG, else the pod’s own'],
  driverName: ['name', 'the CSI driver whose objects are served'],
  listen: ['host:port', 'where /metrics, /healthz and /readyz are; port 0 lets the kernel choose'],
  leaderElection: ['mode', 'auto (in a pod only), on or off'],
  leaderElectionNamespace: ['name', 'namespace of the Lease; default: the pod’s own'],
  snapshotController: [
    'mode',
    'auto (unless another snapshot-controller serves the cluster), always or never',
  ],
  orphanCheckSeconds: ['seconds', 'between two comparisons of a daemon with the cluster'],
  orphanRemoval: [
    'mode',
    'on removes data that nothing in the cluster names, what a Retain policy left included',
  ],
  orphanGraceSeconds: ['seconds', 'how long data must have been an orphan before it is removed'],
  workers: ['count', 'keys that each controller works on at once'],
  controllerWorkers: [
    'name=count,...',
    'the same for single controllers, such as volume-snapshot=128; the file has a map',
  ],
  listedObjects: [
    'namespace/name',
    'ConfigMap with StorageDaemons and classes that are created at the start if absent',
  ],
  apiRate: ['per-second', 'requests per second to the API server in the long run'],
  apiBurst: ['count', 'requests to the API server at once before --api-rate counts'],
  apiConnections: ['count', 'connections to the API server, watches aside'],
  logLevel: ['level', `one of ${logLevels.join(', ')}`],
};

const environmentPrefix = 'VARVE_OPERATOR_';

/** Where configuration comes from. */
export interface ConfigSources {
  /** Without node and the script. */
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** A value of the configuration cannot be used; the message is for the person who wrote it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly kind = 'invalid-config';
}

/**
 * Reads the configuration. Prints help and ends the process when asked to (`--help`, `--version`).
 *
 * @throws ConfigError that names the value, its source and what is allowed.
 */
export function readConfig({ args, environment }: ConfigSources): OperatorConfig {
  const command = createCommand();
  command.parse(args, { from: 'user' });
  const flags = command.opts<Record<string, unknown> & { config?: string }>();
  const file = flags.config ?? environment[`${environmentPrefix}CONFIG`];
  const fromFile = file === undefined ? {} : readConfigFile(file);
  const values: Record<string, unknown> = { ...fromFile };
  const sources = new Map<string, string>();
  for (const key of Object.keys(fromFile)) sources.set(key, `${file}: ${key}`);
  for (const key of Object.keys(descriptions)) {
    const variable = environmentNameOf(key);
    const candidates = [
      [environment[variable], variable],
      [flags[key], flagOf(key)],
    ] as const;
    for (const [value, source] of candidates) {
      if (value === undefined) continue;
      values[key] = value;
      sources.set(key, source);
    }
  }
  const result = configSchema.safeParse(values);
  if (result.success) return result.data;
  throw new ConfigError(describeIssue(result.error.issues[0], values, sources));
}

function createCommand(): Command {
  const command = new Command('varve-operator')
    .description('Turns VolumeSnapshots and PersistentVolumeClaims into calls to storage daemons.')
    .version(operatorVersion)
    .addOption(new Option('--config <file>', 'YAML file with the same names in camelCase'))
    .addHelpText('after', () => helpFooter());
  for (const [key, [placeholder, text]] of Object.entries(descriptions)) {
    const fallback = defaultOf(key as Key);
    const suffix = fallback === undefined ? '' : ` (default: ${fallback})`;
    command.addOption(new Option(`${flagOf(key)} <${placeholder}>`, text + suffix));
  }
  return command;
}

function helpFooter(): string {
  return [
    '',
    'Every option is also an environment variable (--api-rate is VARVE_OPERATOR_API_RATE)',
    'and a name in the configuration file (apiRate). Flags win over variables, variables over',
    'the file. SIGTERM and SIGINT end it cleanly; it exits 1 when it loses the leadership.',
  ].join('\n');
}

function readConfigFile(file: string): Record<string, unknown> {
  let content: unknown;
  try {
    content = parseYaml(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new ConfigError(`Reading the configuration ${file} failed: ${(error as Error).message}`);
  }
  if (content === null) return {};
  if (typeof content !== 'object' || Array.isArray(content)) {
    throw new ConfigError(
      `Reading the configuration ${file} failed: it must hold names with values`,
    );
  }
  return content as Record<string, unknown>;
}

function describeIssue(
  issue: z.core.$ZodIssue | undefined,
  values: Readonly<Record<string, unknown>>,
  sources: ReadonlyMap<string, string>,
): string {
  if (issue?.code === 'unrecognized_keys') {
    const allowed = Object.keys(descriptions).join(', ');
    const [key = ''] = issue.keys;
    return `Reading the configuration failed: ${sources.get(key) ?? key} is unknown; allowed are ${allowed}`;
  }
  const key = String(issue?.path[0]);
  const source = sources.get(key) ?? key;
  return `Reading the configuration failed: ${source} is ${JSON.stringify(values[key])}: ${issue?.message}`;
}

function defaultOf(key: Key): string | undefined {
  const parsed = configSchema.parse({});
  const value = parsed[key];
  if (value === undefined || typeof value === 'object') return undefined;
  return String(value);
}

function flagOf(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function environmentNameOf(key: string): string {
  return environmentPrefix + key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}
