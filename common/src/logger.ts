import { destination, pino } from 'pino';
import type { DestinationStream, Logger as PinoLogger } from 'pino';

/** Structured log lines, one JSON object each. Secrets never go into one. */
export type Logger = PinoLogger;

/** The levels that a user may choose, from most to least. */
export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

/** One of {@link logLevels}. */
export type LogLevel = (typeof logLevels)[number];

/** What a program's log is called, how much it tells, and where it goes (standard output unless said otherwise). */
export interface LoggerOptions {
  readonly name: string;
  readonly level?: LogLevel;
  readonly stream?: DestinationStream;
}

/** Creates a program's logger; parts of the program make children of it with their own fields. */
export function createLogger(options: LoggerOptions): Logger {
  return pino(
    {
      name: options.name,
      level: options.level ?? 'info',
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
    },
    options.stream ?? destination({ fd: 1, sync: true }),
  );
}

/** A logger that says nothing, for tests and embedders. */
export function silentLogger(): Logger {
  return pino({ level: 'silent' });
}
