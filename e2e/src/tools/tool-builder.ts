/**
 * Builds the pinned programs where they are not in the cache yet. A build ends in a rename, so an interrupted
 * or a second run at the same time never leaves half a program behind; a build that failed (the module proxy
 * did not answer) is repeated.
 */
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { logTail, ManagedProcess } from '../process/managed-process.ts';
import { tryCommand } from '../process/run-command.ts';
import { toolCacheRoot, toolFamilyFolder, toolsFromFolder } from './tool-cache.ts';
import { toolFamilies, type ToolBinary, type ToolFamily } from './tool-families.ts';

/** A cold build downloads a few hundred modules; a single refused one should not end it. */
const buildAttemptsMax = 3;
const retryPauseMs = 5000;
/** Three times what the slowest program needs on two busy cores. */
const buildTimeoutMs = 30 * 60_000;
const progressIntervalMs = 20_000;
/** The build may take its time: whatever else the machine does goes first. */
const buildNiceness = 10;

/** Where the programs are, or why there are none. */
export type Tools =
  | { readonly state: 'ready'; readonly paths: ReadonlyMap<string, string> }
  | { readonly state: 'missing'; readonly reason: string };

/** Finds or builds all programs. `print` gets the lines of progress. */
export async function ensureTools(
  env: NodeJS.ProcessEnv,
  print: (line: string) => void,
): Promise<Tools> {
  const assets = env['VARVE_E2E_ASSETS'];
  if (assets !== undefined && assets !== '') {
    return { state: 'ready', paths: toolsFromFolder(assets) };
  }
  const cacheRoot = toolCacheRoot(env);
  const wanted = toolFamilies.flatMap((family) =>
    family.binaries.map((binary) => ({
      family,
      binary,
      path: join(toolFamilyFolder(family, cacheRoot), binary.name),
    })),
  );
  const toBuild = wanted.filter(({ path }) => !existsSync(path));
  if (toBuild.length > 0) {
    if (!(await isGoInstalled())) {
      const names = toBuild.map(({ binary }) => binary.name).join(', ');
      return { state: 'missing', reason: `Go is not installed, so ${names} cannot be built` };
    }
    const seconds = toBuild.reduce((sum, { binary }) => sum + binary.usualBuildSeconds, 0);
    print(
      `Building ${toBuild.length} programs into ${cacheRoot}: about ${Math.ceil(seconds / 60)} min, once`,
    );
    for (const { family, binary, path } of toBuild) {
      mkdirSync(toolFamilyFolder(family, cacheRoot), { recursive: true });
      await buildBinary(family, binary, { path, print });
    }
  }
  return { state: 'ready', paths: new Map(wanted.map(({ binary, path }) => [binary.name, path])) };
}

async function isGoInstalled(): Promise<boolean> {
  try {
    return (await tryCommand('go', ['version'])).code === 0;
  } catch {
    return false;
  }
}

async function buildBinary(
  family: ToolFamily,
  binary: ToolBinary,
  target: { readonly path: string; readonly print: (line: string) => void },
): Promise<void> {
  const partialPath = `${target.path}.${process.pid}.partial`;
  const logFile = `${partialPath}.log`;
  try {
    for (let attempt = 1; ; attempt++) {
      const build = new ManagedProcess({
        name: `go build ${binary.packagePath}`,
        command: 'go',
        args: ['build', '-trimpath', '-ldflags', family.linkerFlags, '-o', partialPath].concat(
          binary.packagePath,
        ),
        cwd: family.directory,
        env: { CGO_ENABLED: '0' },
        logFile,
      });
      if (build.pid !== undefined) setPriority(build.pid, buildNiceness);
      if (await succeeds(build, binary, target.print)) break;
      const tail = logTail(build.name, logFile);
      if (attempt === buildAttemptsMax) {
        throw new Error(`Building ${binary.name} failed ${attempt} times\n${tail}`);
      }
      target.print(`  building ${binary.name} failed (attempt ${attempt} of ${buildAttemptsMax})`);
      target.print(tail);
      await sleep(retryPauseMs);
    }
    renameSync(partialPath, target.path);
  } finally {
    rmSync(partialPath, { force: true });
    rmSync(logFile, { force: true });
  }
}

/** Waits for a build with lines of progress; one that is over time is killed and counts as failed. */
async function succeeds(
  build: ManagedProcess,
  binary: ToolBinary,
  print: (line: string) => void,
): Promise<boolean> {
  const startMs = performance.now();
  const elapsedSeconds = (): number => Math.round((performance.now() - startMs) / 1000);
  const progress = setInterval(() => {
    if (performance.now() - startMs > buildTimeoutMs) build.signal('SIGKILL');
    print(
      `  building ${binary.name}: ${elapsedSeconds()} s (usually ${binary.usualBuildSeconds} s on 2 cores)`,
    );
  }, progressIntervalMs);
  try {
    const { code } = await build.exited;
    if (code === 0) print(`  built ${binary.name} in ${elapsedSeconds()} s`);
    return code === 0;
  } finally {
    clearInterval(progress);
  }
}
