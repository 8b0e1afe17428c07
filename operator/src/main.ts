/** `varve-operator`: the process. */
import { KubeConfig } from '@kubernetes/client-node';
import { createLogger } from '@varve/common/logger';
import { ConfigError, readConfig } from './config.ts';
import type { OperatorConfig } from './config.ts';
import { startOperator } from './operator.ts';

const exitCodes = { stopped: 0, 'leadership-lost': 1, failed: 1, usage: 2 } as const;

function loadKubeConfig(config: OperatorConfig): KubeConfig {
  const kubeConfig = new KubeConfig();
  if (config.kubeconfig === undefined) kubeConfig.loadFromDefault();
  else kubeConfig.loadFromFile(config.kubeconfig);
  return kubeConfig;
}

async function main(): Promise<number> {
  let config: OperatorConfig;
  try {
    config = readConfig({ args: process.argv.slice(2), environment: process.env });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(error.message);
    return exitCodes.usage;
  }
  const log = createLogger({ name: 'varve-operator', level: config.logLevel });
  try {
    const operator = await startOperator({ config, kubeConfig: loadKubeConfig(config), log });
    for (const name of ['SIGTERM', 'SIGINT'] as const) {
      process.once(name, () => {
        log.info({ signal: name }, 'stopping');
        void operator.stop();
      });
    }
    return exitCodes[await operator.stopped];
  } catch (error) {
    if (error instanceof ConfigError) {
      console.error(error.message);
      return exitCodes.usage;
    }
    log.fatal({ err: error }, 'starting failed');
    return exitCodes.failed;
  }
}

process.exit(await main());
