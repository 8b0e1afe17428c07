/** Runs a command to its end, with a time limit, and gives back what it printed. */
import { spawn } from 'node:child_process';

const defaultTimeoutMs = 60_000;
/** Enough for the largest listing a test reads; more than this is a mistake in the command. */
const outputBytesMax = 64 * 1024 * 1024;

/** Optional arguments of a command. */
export interface RunCommandOptions {
  readonly input?: string;
  readonly timeoutMs?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** How a command ended and what it printed. */
export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that ended with another code than 0 where 0 was demanded. */
export class CommandError extends Error {
  readonly kind = 'command-failed';
  readonly result: CommandResult;

  constructor(commandLine: string, result: CommandResult) {
    super(
      `${commandLine} ended with code ${result.code}: ${(result.stderr + result.stdout).trim().slice(-4000)}`,
    );
    this.result = result;
  }
}

/**
 * Runs it and returns the result whatever the exit code is. A command that is over time is killed and counts as
 * code 124.
 */
export async function tryCommand(
  command: string,
  args: readonly string[],
  options: RunCommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: 'pipe',
      env: { ...process.env, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    let outputBytes = 0;
    let timedOut = false;
    const timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, timeoutMs);
    const keep = (parts: Buffer[]) => (part: Buffer) => {
      outputBytes += part.length;
      if (outputBytes <= outputBytesMax) parts.push(part);
      else child.kill('SIGKILL');
    };
    child.stdout.on('data', keep(stdout));
    child.stderr.on('data', keep(stderr));
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(new Error(`Running ${command} failed: ${error.message}`, { cause: error }));
    });
    child.once('close', (code) => {
      clearTimeout(timer);
      const note = timedOut ? `\nkilled after ${timeoutMs / 1000} s` : '';
      resolve({
        code: timedOut ? 124 : (code ?? 1),
        stdout: Buffer.concat(stdout).toString('utf8'),
        stderr: Buffer.concat(stderr).toString('utf8') + note,
      });
    });
    // A command that ends without reading its input is not a failure of ours.
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
  });
}

/** Runs it and demands exit code 0; returns what it printed on stdout. */
export async function runCommand(
  command: string,
  args: readonly string[],
  options: RunCommandOptions = {},
): Promise<string> {
  const result = await tryCommand(command, args, options);
  if (result.code !== 0) throw new CommandError([command, ...args].join(' '), result);
  return result.stdout;
}
