/** `varve-node`: the process. */
import { createLogger } from '@varve/common/logger';
import { ConfigError, readConfig, type NodePluginConfig } from './config.ts';
import { startNodePlugin } from './node-plugin.ts';

const exitCodes = { stopped: 0, failed: 1, usage: 2 } as const;

async function main(): Promise<number> {
  let config: NodePluginConfig;
  try {
    config = readConfig({ args: process.argv.slice(2), environment: process.env });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(error.message);
    return exitCodes.usage;
  }
  const log = createLogger({ name: 'varve-node', level: config.logLevel });
  // Files that it makes are for root alone.
  process.umask(0o077);
  try {
    const plugin = await startNodePlugin(config, { log });
    const signalled = new Promise<'signal'>((resolve) => {
      for (const name of ['SIGTERM', 'SIGINT'] as const) {
        process.once(name, () => resolve('signal'));
      }
    });
    const reason = await Promise.race([signalled, plugin.refused]);
    await plugin.stop();
    return reason === 'signal' ? exitCodes.stopped : exitCodes.failed;
  } catch (error) {
    log.fatal({ err: error }, 'starting failed');
    return exitCodes.failed;
  }
}

process.exit(await main());
