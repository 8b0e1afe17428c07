/**
 * Runs one program of the machine to its end, with a time limit. It dies with us: an mkfs that outlived a
 * killed plugin would run beside the next one.
 */
import { spawn } from 'node:child_process';
import { ProblemError } from '@varve/contract/problem';

/** What a program prints beyond this is not kept. */
const outputBytesMax = 64 * 1024;

/** How a program ended. */
export interface ProgramResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs it; every exit code is an answer. */
export async function runProgram(
  program: string,
  args: readonly string[],
  timeoutMs: number,
): Promise<ProgramResult> {
  const commandLine = [program, ...args].join(' ');
  return new Promise((resolve, reject) => {
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', program, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      // Messages are read by us too.
      env: { ...process.env, LC_ALL: 'C' },
    });
    const output = { stdout: '', stderr: '' };
    let isOverTime = false;
    const timer = setTimeout(() => {
      isOverTime = true;
      child.kill('SIGKILL');
    }, timeoutMs);
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        output[name] = (output[name] + text).slice(0, outputBytesMax);
      });
    }
    child.once('error', (cause) => {
      clearTimeout(timer);
      const message = `Running ${commandLine} failed: ${cause.message}; is util-linux installed?`;
      reject(new ProblemError('failed-precondition', message, { cause }));
    });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      if (isOverTime) {
        const message = `Running ${commandLine} failed: it took more than ${timeoutMs / 1000} s`;
        reject(new ProblemError('deadline-exceeded', message));
      } else if (code === null) {
        reject(
          new ProblemError('unavailable', `Running ${commandLine} failed: ended by ${signal}`),
        );
      } else resolve({ code, ...output });
    });
  });
}

/**
 * Runs a program that must end with one of the codes.
 *
 * @throws ProblemError `internal` with what it printed.
 */
export async function requireProgram(
  program: string,
  args: readonly string[],
  { timeoutMs, codes = [0] }: { readonly timeoutMs: number; readonly codes?: readonly number[] },
): Promise<ProgramResult> {
  const result = await runProgram(program, args, timeoutMs);
  if (codes.includes(result.code)) return result;
  throw new ProblemError(
    'internal',
    `Running ${[program, ...args].join(' ')} failed with code ${result.code}: ` +
      (result.stderr + result.stdout).trim().slice(-1000),
  );
}
