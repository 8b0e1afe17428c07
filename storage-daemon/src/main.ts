/** The program `varve-storaged`: serves until SIGTERM or SIGINT, or inspects a pool that is not served. */
import { createLogger, type Logger } from '@varve/common/logger';
import { isProblemError } from '@varve/contract/problem';
import { Command } from 'commander';

import { addConfigOptions, type DaemonConfig, readConfig } from './config.ts';
import { type Daemon, startDaemon } from './daemon.ts';
import { StateFileError } from './daemon/state-file.ts';
import { DeviceOpenError } from './device/device-open-error.ts';
import { inspectPool } from './inspect/inspect-pool.ts';
import { daemonVersion } from './version.ts';

/**
 * A mistake of the user's: bad configuration, a device or address that cannot be had. A restart does not
 * help.
 */
const exitUsage = 2;
/** A bug of ours; a restart replays the journal. */
const exitCrash = 70;

async function serve(command: Command): Promise<void> {
  const config = readConfig(command);
  // Everything that the daemon makes is its user's alone: sockets, state, files of pools.
  process.umask(0o077);
  // What the kernel calls the process, and so what another daemon says that holds a lock.
  process.title = 'varve-storaged';
  const logger = createLogger({ name: 'varve-storaged', level: config.logLevel });
  const crash = (error: unknown): void => {
    logger.fatal({ err: error }, 'an invariant is broken: the daemon ends at once');
    process.exit(exitCrash);
  };
  process.on('uncaughtException', crash);
  process.on('unhandledRejection', crash);
  const reactorEntry = new URL('./reactor/reactor.js', import.meta.url);
  let daemon: Daemon | undefined;
  stopOnSignal(logger, async () => daemon?.close());
  daemon = await startDaemon(config, { logger, reactorEntry, onCrash: crash });
  announce(config, daemon, logger);
}

function announce(config: DaemonConfig, { endpoints, exports }: Daemon, logger: Logger): void {
  const uris = exports.map(({ uri }) => uri);
  const { stateFolder } = config;
  logger.info({ version: daemonVersion, stateFolder, endpoints, exports: uris }, 'serving');
}

/**
 * The first signal drains; a second one ends the process as a kill would, which loses nothing that was
 * acknowledged. Before the daemon serves there is nothing to drain.
 */
function stopOnSignal(logger: Logger, close: () => Promise<void>): void {
  let isStopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    if (isStopping) {
      logger.warn({ signal }, 'ending at once');
      process.exit(exitCrash);
    }
    isStopping = true;
    logger.info({ signal }, 'stopping');
    void close().then(() => {
      logger.info('stopped');
      process.exit(0);
    });
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

/** One sentence for what a person can mend, everything for what they cannot. */
function fail(error: unknown): never {
  const isExpected =
    isProblemError(error) || error instanceof StateFileError || error instanceof DeviceOpenError;
  console.error(isExpected ? `varve-storaged: ${error.message}` : error);
  process.exit(isExpected ? exitUsage : exitCrash);
}

const program = addConfigOptions(
  new Command('varve-storaged')
    .description('Owns the block store on raw devices or files: REST control API, NBD exports.')
    .version(daemonVersion),
).action(async (_, command: Command) => {
  await serve(command).catch(fail);
});

program
  .command('inspect')
  .description(
    'Prints the pool on devices that no daemon serves and checks it, without writing to them. ' +
      'Exit code 1: something is wrong.',
  )
  .argument('<devices...>', 'all devices or files of the pool')
  .action(async (paths: readonly string[]) => {
    process.exitCode = await inspectPool(paths, (line) => console.log(line)).catch(fail);
  });

await program.parseAsync();
