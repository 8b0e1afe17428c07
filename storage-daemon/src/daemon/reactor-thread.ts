/** Starts a reactor's thread and gives the main thread its end of the channel. */
import { Worker } from 'node:worker_threads';

import type { Logger } from '@varve/common/logger';

import { ReactorChannel, type ReactorNotices } from '../reactor/channel.ts';
import type { ReactorThreadOptions } from '../reactor/messages.ts';

/** A running reactor. */
export interface ReactorThread {
  readonly channel: ReactorChannel;
  /** Ends the thread, which has nothing left to do: after the operation `shutdown`. */
  end(): Promise<void>;
}

/** What a reactor's thread reports to. */
export interface ReactorThreadDependencies {
  readonly event: ReactorNotices['event'];
  readonly node: NonNullable<ReactorNotices['node']>;
  readonly logger: Logger;
  /** Called once if the thread ends by itself, which only a bug of ours can cause. */
  readonly onCrash: (error: unknown) => void;
}

/** Starts the thread whose entry is the module at `entry`. */
export function startReactorThread(
  entry: URL,
  options: ReactorThreadOptions,
  { event, node, logger, onCrash }: ReactorThreadDependencies,
): ReactorThread {
  const worker = new Worker(entry, { name: 'varve-reactor', workerData: options });
  const channel = new ReactorChannel(worker, {
    event,
    node,
    log: (level, message, fields) => logger[level](fields, message),
  });
  let isEnding = false;
  const crash = (error: unknown): void => {
    channel.end('Calling the reactor failed: it has ended');
    if (!isEnding) onCrash(error);
    isEnding = true;
  };
  worker.on('error', crash);
  worker.on('exit', (code) => crash(new Error(`the reactor's thread ended with code ${code}`)));
  return {
    channel,
    end: async () => {
      isEnding = true;
      await worker.terminate();
    },
  };
}
