/**
 * The configuration of the daemon: flags, then environment variables, then a JSON file, then defaults;
 * whatever comes first wins. All of it is checked here; a mistake gives one sentence that names the setting
 * and where it came from.
 */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';

import { type LogLevel, logLevels } from '@varve/common/logger';
import { ProblemError } from '@varve/contract/problem';
import { Command, Option } from 'commander';
import { z } from 'zod';

import {
  type HttpListenAddress,
  parseHttpListenAddress,
  parseNbdListenAddress,
  parseNvmeListenAddress,
} from './listen-address.ts';
import { parseDeallocateRate, parseMapMemory } from './memory-size.ts';
import type { IoEngineSetting, NbdListenAddress, NvmeListenAddress } from './reactor/messages.ts';

/** Listeners of one kind: a daemon has one or two. */
const listenersMax = 8;

/** A pool has at most so many cells, and a cell is served by one reactor. */
const reactorsMax = 64;

const ioEngines: readonly IoEngineSetting[] = ['auto', 'io_uring', 'fs'];

/** Everything that can be set. */
export interface DaemonConfig {
  readonly stateFolder: string;
  readonly name: string;
  readonly listen: readonly HttpListenAddress[];
  readonly nbdListen: readonly NbdListenAddress[];
  readonly nvmeListen: readonly NvmeListenAddress[];
  readonly tokenFile: string | undefined;
  readonly tlsCertificateFile: string | undefined;
  readonly tlsKeyFile: string | undefined;
  /** For the maps of each pool; undefined for 512 MiB per TiB of it. */
  readonly mapMemoryBytes: number | undefined;
  /** Rate at which devices are told of freed blocks; 0: never. */
  readonly deallocateBytesPerSecond: number;
  readonly tlsClientAuthorityFile: string | undefined;
  readonly clientRolesFile: string | undefined;
  readonly ioEngine: IoEngineSetting;
  readonly reactors: number;
  readonly logLevel: LogLevel;
}

/**
 * Names of the settings, in flags (`--state-folder`), environment (`VARVE_STATE_FOLDER`) and file
 * (`stateFolder`).
 */
const settingsSchema = z.strictObject({
  stateFolder: z.string().min(1),
  name: z
    .string()
    .max(253)
    .regex(/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/, 'must be a name like node-1'),
  listen: z.array(z.string()).min(1).max(listenersMax).optional(),
  nbdListen: z.array(z.string()).max(listenersMax).optional(),
  nvmeListen: z.array(z.string()).max(listenersMax).optional(),
  tokenFile: z.string().min(1).optional(),
  tlsCertificateFile: z.string().min(1).optional(),
  tlsKeyFile: z.string().min(1).optional(),
  mapMemory: z.string().optional(),
  deallocate: z.string(),
  tlsClientAuthorityFile: z.string().min(1).optional(),
  clientRolesFile: z.string().min(1).optional(),
  ioEngine: z.enum(ioEngines),
  reactors: z.coerce.number().int().min(1).max(reactorsMax),
  logLevel: z.enum(logLevels),
});

type Settings = z.output<typeof settingsSchema>;
type Sources = Readonly<Record<string, string>>;

/** Adds the settings to a command as options. */
export function addConfigOptions(command: Command): Command {
  return addAccessOptions(addServingOptions(command))
    .addOption(
      option(
        '--io-engine <engine>',
        'VARVE_IO_ENGINE',
        'how devices are read and written: auto takes io_uring where the kernel permits it, else fs',
      )
        .choices(ioEngines)
        .default('auto'),
    )
    .addOption(
      option(
        '--reactors <number>',
        'VARVE_REACTORS',
        'threads that serve the cells of all pools and the connections to their volumes; at most 64',
      ).default('1'),
    )
    .addOption(
      option('--log-level <level>', 'VARVE_LOG_LEVEL', 'how much is logged')
        .choices(logLevels)
        .default('info'),
    );
}

function option(flags: string, variable: string, text: string): Option {
  return new Option(flags, text).env(variable);
}

function addServingOptions(command: Command): Command {
  return command
    .addOption(
      option(
        '--state-folder <path>',
        'VARVE_STATE_FOLDER',
        'where identity and pools are recorded',
      ).default('/var/lib/varve'),
    )
    .addOption(
      option(
        '--config <path>',
        'VARVE_CONFIG',
        'JSON file with any of these settings, in camelCase',
      ),
    )
    .addOption(
      option('--name <name>', 'VARVE_NAME', 'how /v1/info names this daemon').default(
        hostname(),
        "the machine's host name",
      ),
    )
    .addOption(
      option(
        '--listen <address...>',
        'VARVE_LISTEN',
        'REST addresses: unix:///path, http://127.0.0.1:port (loopback only), https://address:port ' +
          '(default: unix socket daemon.sock in the state folder)',
      ),
    )
    .addOption(
      option(
        '--nbd-listen <address...>',
        'VARVE_NBD_LISTEN',
        'NBD addresses: unix:///path, tcp://127.0.0.1:port (default: unix socket nbd.sock in the state folder)',
      ),
    )
    .addOption(
      option(
        '--nvme-listen <address...>',
        'VARVE_NVME_LISTEN',
        'NVMe/TCP addresses that hosts connect to: tcp://address:port (default: none; well-known port: 4420)',
      ),
    )
    .addOption(
      option(
        '--map-memory <size>',
        'VARVE_MAP_MEMORY',
        'memory for the maps of each pool, e.g. 2GiB (default: 512MiB per TiB of the pool, at least 64MiB)',
      ),
    )
    .addOption(
      option(
        '--deallocate <rate>',
        'VARVE_DEALLOCATE',
        "freed bytes per second that a pool's devices are told of (NVMe Deallocate, holes in files), or off",
      ).default('512MiB'),
    );
}

/** Who may call over TCP. */
function addAccessOptions(command: Command): Command {
  return command
    .addOption(
      option(
        '--token-file <path>',
        'VARVE_TOKEN_FILE',
        'file with the bearer tokens that TCP clients may send: a token, or lines of <token> <role> [<host NQN>]',
      ),
    )
    .addOption(
      option(
        '--tls-certificate-file <path>',
        'VARVE_TLS_CERTIFICATE_FILE',
        'PEM certificate chain for https',
      ),
    )
    .addOption(option('--tls-key-file <path>', 'VARVE_TLS_KEY_FILE', 'PEM private key for https'))
    .addOption(
      option(
        '--tls-client-authority-file <path>',
        'VARVE_TLS_CLIENT_AUTHORITY_FILE',
        "PEM certificates that clients' certificates are signed by; https needs this or a token file",
      ),
    )
    .addOption(
      option(
        '--client-roles-file <path>',
        'VARVE_CLIENT_ROLES_FILE',
        "file with lines of <CN> <role> [<host NQN>]; without it, a client certificate's O is varve:<role>",
      ),
    );
}

/**
 * The checked configuration of a command whose options were added by `addConfigOptions`. @throws ProblemError
 */
export function readConfig(command: Command): DaemonConfig {
  const { config: file, ...given } = command.opts<{
    readonly config?: string;
    readonly [key: string]: unknown;
  }>();
  const fromFile = file === undefined ? {} : readConfigFile(resolve(file));
  const settings: Record<string, unknown> = {};
  const sources: Record<string, string> = {};
  for (const [key, value] of Object.entries(fromFile)) {
    settings[key] = value;
    sources[key] = `${file}: ${key}`;
  }
  for (const [key, value] of Object.entries(given)) {
    const source = command.getOptionValueSource(key);
    if (source === 'default' && key in settings) continue;
    // An environment variable holds a list as words.
    settings[key] =
      source === 'env' && isList(key)
        ? String(value)
            .split(/[\s,]+/)
            .filter(Boolean)
        : value;
    sources[key] = nameSource(key, source);
  }
  return checkSettings(settings, sources);
}

function checkSettings(settings: Record<string, unknown>, sources: Sources): DaemonConfig {
  const result = settingsSchema.safeParse(settings);
  if (!result.success) {
    const [issue] = result.error.issues;
    const key = issue?.code === 'unrecognized_keys' ? issue.keys[0] : issue?.path[0];
    throw refuse(String(key), sources, issue?.message ?? 'not understood');
  }
  const { listen, nbdListen, nvmeListen = [], stateFolder, ...rest } = result.data;
  const folder = resolve(stateFolder);
  const config = {
    stateFolder: folder,
    listen: (listen ?? [`unix://${join(folder, 'daemon.sock')}`]).map((text) =>
      parseText('listen', text, sources, parseHttpListenAddress),
    ),
    nbdListen: (nbdListen ?? [`unix://${join(folder, 'nbd.sock')}`]).map((text) =>
      parseText('nbdListen', text, sources, parseNbdListenAddress),
    ),
    nvmeListen: nvmeListen.map((text) =>
      parseText('nvmeListen', text, sources, parseNvmeListenAddress),
    ),
    tokenFile: rest.tokenFile,
    tlsCertificateFile: rest.tlsCertificateFile,
    tlsKeyFile: rest.tlsKeyFile,
    tlsClientAuthorityFile: rest.tlsClientAuthorityFile,
    clientRolesFile: rest.clientRolesFile,
    name: rest.name,
    mapMemoryBytes:
      rest.mapMemory === undefined
        ? undefined
        : parseText('mapMemory', rest.mapMemory, sources, parseMapMemory),
    deallocateBytesPerSecond: parseText(
      'deallocate',
      rest.deallocate,
      sources,
      parseDeallocateRate,
    ),
    ioEngine: rest.ioEngine,
    reactors: rest.reactors,
    logLevel: rest.logLevel,
  };
  checkTls(config, rest, sources);
  return config;
}

function checkTls(config: DaemonConfig, settings: Partial<Settings>, sources: Sources): void {
  if (settings.clientRolesFile !== undefined && settings.tlsClientAuthorityFile === undefined) {
    throw refuse('clientRolesFile', sources, `needs ${flagOf('tlsClientAuthorityFile')} as well`);
  }
  if (!config.listen.some(({ kind }) => kind === 'https')) return;
  for (const key of ['tlsCertificateFile', 'tlsKeyFile'] as const) {
    if (settings[key] !== undefined) continue;
    throw refuse('listen', sources, `https needs ${flagOf(key)} as well`);
  }
  if (settings.tokenFile !== undefined || settings.tlsClientAuthorityFile !== undefined) return;
  const either = `${flagOf('tokenFile')} or ${flagOf('tlsClientAuthorityFile')}`;
  throw refuse('listen', sources, `https needs ${either} as well`);
}

function parseText<Value extends object | number>(
  key: keyof Settings,
  text: string,
  sources: Sources,
  parse: (text: string) => Value | string,
): Value {
  const parsed = parse(text);
  if (typeof parsed !== 'string') return parsed;
  throw refuse(key, sources, `${JSON.stringify(text)}: ${parsed}`);
}

function readConfigFile(path: string): Record<string, unknown> {
  try {
    return z.record(z.string(), z.unknown()).parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    const why = cause instanceof z.ZodError ? 'it must hold one JSON object' : String(cause);
    throw new ProblemError(
      'invalid-argument',
      `Reading the configuration file "${path}" failed: ${why}`,
      { cause },
    );
  }
}

function refuse(key: string, sources: Sources, why: string): ProblemError {
  return new ProblemError(
    'invalid-argument',
    `Reading the configuration failed: ${sources[key] ?? flagOf(key)}: ${why}`,
    { field: key },
  );
}

function isList(key: string): boolean {
  return key === 'listen' || key === 'nbdListen' || key === 'nvmeListen';
}

function flagOf(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function nameSource(key: string, source: string | undefined): string {
  if (source !== 'env') return flagOf(key);
  return `VARVE_${flagOf(key).slice(2).replaceAll('-', '_').toUpperCase()}`;
}
