/**
 * The disk from which a guest runs our programs: the pinned Node.js, the compiled packages and what they depend on
 * at run time, as an installation would hold them. Made anew in each run, so it is never an old build.
 */
import { cpSync, existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join, relative } from 'node:path';
import { tryCommand } from '../../process/run-command.ts';
import { makeFileSystem } from './guest-image.ts';

const repository = join(import.meta.dirname, '../../../..');
/** The programs, and the workspaces that they are made of. */
const programs = ['storage-daemon', 'node-plugin'];
const workspaces = ['common', 'contract', ...programs];
/** Folders beside `dist` that a program reads at run time. */
const dataFolders = ['proto'];
const sizeMib = 384;

/** Where the guest finds things, mounted as `init` does. */
export const productPaths = {
  node: '/opt/varve/node',
  storageDaemon: '/opt/varve/storage-daemon/dist/main.js',
  nodePlugin: '/opt/varve/node-plugin/dist/main.js',
} as const;

/** Writes the disk's image; `work` is a folder for what goes into it. */
export async function makeProductImage(file: string, work: string): Promise<void> {
  rmSync(work, { recursive: true, force: true });
  mkdirSync(join(work, 'node_modules/@varve'), { recursive: true });
  cpSync(process.execPath, join(work, 'node'), { dereference: true });
  for (const workspace of workspaces) {
    const target = join(work, workspace);
    mkdirSync(target);
    cpSync(join(repository, workspace, 'package.json'), join(target, 'package.json'));
    for (const folder of ['dist', ...dataFolders]) {
      const source = join(repository, workspace, folder);
      if (existsSync(source)) cpSync(source, join(target, folder), { recursive: true });
    }
    symlinkSync(`../../${workspace}`, join(work, 'node_modules/@varve', workspace));
  }
  for (const folder of await productionModules()) {
    cpSync(join(repository, folder), join(work, folder), { recursive: true });
  }
  await makeFileSystem(work, file, sizeMib);
  rmSync(work, { recursive: true });
}

/** Folders of third-party packages that the programs need, relative to the repository, as npm knows them. */
async function productionModules(): Promise<readonly string[]> {
  const ofPrograms = programs.map((program) => `--workspace=@varve/${program}`);
  const args = ['ls', '--omit=dev', '--all', '--parseable', ...ofPrograms];
  // npm ends with 1 where an optional package of another platform is not installed.
  const listed = await tryCommand('npm', args, { cwd: repository });
  const folders = listed.stdout
    .split('\n')
    .map((path) => relative(repository, path.trim()))
    .filter((path) => /(^|\/)node_modules\/(?!@varve\/|node-linux-)/.test(path));
  if (folders.length === 0) throw new Error(`npm ls named no package: ${listed.stderr}`);
  // A package inside another's folder comes with that one.
  return folders.filter((path) => !folders.some((other) => path.startsWith(`${other}/`)));
}
