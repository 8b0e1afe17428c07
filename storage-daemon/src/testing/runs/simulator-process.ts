/** Runs `simulate-main` in a process of its own, as people do, and reads its last line. */
import { spawn } from 'node:child_process';

import { assert } from '@varve/common/assert';

/** What the simulator printed and how it ended. */
export interface SimulatorResult {
  readonly exitCode: number;
  readonly text: string;
  /** Seeds, or parts of an exhaustive run. */
  readonly taskCount: number;
  readonly operationCount: number;
  readonly crashCount: number;
  readonly failureCount: number;
}

/** Runs a module with these arguments; the module must print the simulator's totals. */
export async function runSimulator(
  mainModule: string,
  args: readonly string[],
  options: { nodeOptions?: readonly string[]; environment?: Readonly<Record<string, string>> } = {},
): Promise<SimulatorResult> {
  const { exitCode, text } = await output(
    ['--disable-warning=ExperimentalWarning', ...(options.nodeOptions ?? []), mainModule, ...args],
    { ...process.env, NODE_OPTIONS: '', ...options.environment },
  );
  const totals = /^(?:seeds|parts) (\d+), operations (\d+), crashes (\d+), failures (\d+)$/m.exec(
    text,
  );
  assert(
    totals !== null,
    `the simulator ended with ${exitCode} and no totals: ${text.slice(-4000)}`,
  );
  return {
    exitCode,
    text,
    taskCount: Number(totals[1]),
    operationCount: Number(totals[2]),
    crashCount: Number(totals[3]),
    failureCount: Number(totals[4]),
  };
}

function output(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<{ exitCode: number; text: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    const collect = (chunk: Buffer) => {
      text += chunk.toString();
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    child.on('error', reject);
    child.on('close', (code) => resolve({ exitCode: code ?? -1, text }));
  });
}
