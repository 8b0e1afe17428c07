/**
 * Where built programs are kept: outside the repository, one folder per family and content of its go.mod and
 * go.sum, so that a clean checkout finds them and a changed pin never meets an old binary.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { toolFamilies, type ToolFamily } from './tool-families.ts';

/** The folder that holds all families' folders. */
export function toolCacheRoot(env: NodeJS.ProcessEnv): string {
  const cacheHome = env['XDG_CACHE_HOME'];
  return join(
    cacheHome === undefined || cacheHome === '' ? join(homedir(), '.cache') : cacheHome,
    'varve',
    'tools',
  );
}

/** The family's folder: named by what decides its content. */
export function toolFamilyFolder(family: ToolFamily, cacheRoot: string): string {
  const hash = createHash('sha256');
  for (const file of ['go.mod', 'go.sum']) {
    hash.update(readFileSync(join(family.directory, file)));
    hash.update('\0');
  }
  hash.update(`${family.linkerFlags}\0${process.platform}-${process.arch}`);
  return join(cacheRoot, `${family.name}-${hash.digest('hex').slice(0, 16)}`);
}

/** Names of all programs. */
export function toolNames(): readonly string[] {
  return toolFamilies.flatMap((family) => family.binaries.map((binary) => binary.name));
}

/** Paths of the programs in one folder that somebody filled by hand (`VARVE_E2E_ASSETS`); names what is not there. */
export function toolsFromFolder(folder: string): ReadonlyMap<string, string> {
  const paths = new Map(toolNames().map((name) => [name, join(folder, name)]));
  const missing = [...paths].filter(([, path]) => !existsSync(path)).map(([name]) => name);
  if (missing.length > 0) {
    throw new Error(
      `Taking programs from VARVE_E2E_ASSETS="${folder}" failed: it lacks ${missing.join(', ')}`,
    );
  }
  return paths;
}
