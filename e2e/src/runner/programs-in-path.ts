/** Which programs this machine has. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Those of the programs that are in PATH. */
export function findPrograms(programs: readonly string[]): ReadonlySet<string> {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const isThere = (program: string): boolean =>
    folders.some((folder) => isExecutable(join(folder, program)));
  return new Set(programs.filter(isThere));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
