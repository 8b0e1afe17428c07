/**
 * The guest's kernel, initramfs and root file system, made of Debian packages and kept outside the repository.
 *
 * The folder's name is a hash of all that decides its content: the kernel's package, the packages of the root,
 * and our scripts in it. A build ends in a rename, so an interrupted one leaves nothing that looks finished.
 * The root needs no package's install script: only files are unpacked.
 */
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
} from 'node:fs';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { messageOf } from '../../process/wait-until.ts';
import { runCommand, tryCommand } from '../../process/run-command.ts';
import { createCpioArchive } from './cpio-archive.ts';

/** Debian's kernel for virtual machines, of the long-term series that the tests were written for. */
const kernelPattern = '^linux-image-6\\.12\\.[0-9]+\\+deb12-cloud-amd64$';
/** Besides these, what they depend on. */
const packages = [
  'bash', 'busybox-static', 'coreutils', 'e2fsprogs', 'fio', 'gawk', 'grep', 'iproute2', 'kmod',
  'libstdc++6', 'mount', 'nvme-cli', 'procps', 'sed', 'socat', 'udev', 'util-linux', 'xfsprogs',
] as const; // prettier-ignore
const debianSuite = 'bookworm';
/** Modules that the kernel needs to find its root disk; the rest is loaded from there. */
const earlyModules = ['drivers/block/virtio_blk.ko.xz'];
/** Free for logs and the tests' small files. */
const rootSizeMib = 512;
const hostPrograms = ['mmdebstrap', 'apt-cache', 'tar', 'xz', 'mkfs.ext4'];
/** A mirror that does not answer once should not end the run. */
const buildAttemptsMax = 3;
/** Ten times what it takes with a near mirror. */
const buildTimeoutMs = 15 * 60_000;

const scriptFolder = join(import.meta.dirname, '../../../guest');
const scripts = ['initramfs-init', 'init', 'agent'];

/** What a virtual machine starts from. */
export interface GuestImage {
  readonly kernel: string;
  readonly initramfs: string;
  readonly root: string;
  /** As `uname -r` says it in the guest. */
  readonly kernelVersion: string;
}

/** The image, or why there is none. */
export type GuestImageState =
  | { readonly state: 'ready'; readonly image: GuestImage }
  | { readonly state: 'missing'; readonly reason: string };

/** Finds the image or builds it. */
export async function ensureGuestImage(
  env: NodeJS.ProcessEnv,
  print: (line: string) => void,
): Promise<GuestImageState> {
  try {
    const kernelPackage = await newestKernel();
    if (kernelPackage === undefined) {
      return {
        state: 'missing',
        reason: `no package matches ${kernelPattern}: run apt-get update`,
      };
    }
    const folder = join(cacheRoot(env), `guest-${imageKey(kernelPackage)}`);
    if (!existsSync(folder)) await buildWithRetries(kernelPackage, folder, print);
    return { state: 'ready', image: imageIn(folder) };
  } catch (error) {
    return { state: 'missing', reason: `making the guest's image failed: ${messageOf(error)}` };
  }
}

/** Programs of the host that a build needs. */
export const guestImagePrograms: readonly string[] = hostPrograms;

async function newestKernel(): Promise<string | undefined> {
  const found = await tryCommand('apt-cache', ['search', '--names-only', kernelPattern]);
  const names = found.stdout.split('\n').flatMap((line) => line.split(' ')[0] ?? []);
  return names
    .filter((name) => name !== '')
    .toSorted((left, right) => left.localeCompare(right, 'en', { numeric: true }))
    .at(-1);
}

function imageKey(kernelPackage: string): string {
  const hash = createHash('sha256');
  hash.update(JSON.stringify([kernelPackage, debianSuite, packages, earlyModules, rootSizeMib]));
  for (const script of scripts) hash.update(readFileSync(join(scriptFolder, script)));
  return hash.digest('hex').slice(0, 16);
}

function cacheRoot(env: NodeJS.ProcessEnv): string {
  const cacheHome = env['XDG_CACHE_HOME'];
  const root = cacheHome === undefined || cacheHome === '' ? join(homedir(), '.cache') : cacheHome;
  return join(root, 'varve', 'vm');
}

function imageIn(folder: string): GuestImage {
  return {
    kernel: join(folder, 'vmlinuz'),
    initramfs: join(folder, 'initramfs.gz'),
    root: join(folder, 'root.img'),
    kernelVersion: readFileSync(join(folder, 'kernel-version'), 'utf8'),
  };
}

async function buildWithRetries(
  kernelPackage: string,
  folder: string,
  print: (line: string) => void,
): Promise<void> {
  mkdirSync(join(folder, '..'), { recursive: true });
  print(`Making the guest's image (${kernelPackage}) in ${folder}: about 1 min, once`);
  for (let attempt = 1; ; attempt++) {
    const work = mkdtempSync(`${folder}.partial-`);
    try {
      await build(kernelPackage, work);
      renameSync(join(work, 'image'), folder);
      return;
    } catch (error) {
      if (attempt === buildAttemptsMax) throw error;
      print(`  attempt ${attempt} of ${buildAttemptsMax} failed: ${messageOf(error)}`);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  }
}

async function build(kernelPackage: string, work: string): Promise<void> {
  const root = join(work, 'root');
  const image = join(work, 'image');
  mkdirSync(root);
  mkdirSync(image);
  await unpackPackages(kernelPackage, work, root);
  const kernelVersion = kernelPackage.replace('linux-image-', '');
  await indexModules(root, kernelVersion);
  for (const script of ['init', 'agent']) {
    const target = join(root, 'usr/sbin', `varve-${script}`);
    writeFileSync(target, readFileSync(join(scriptFolder, script)), { mode: 0o755 });
  }
  writeFileSync(join(image, 'kernel-version'), kernelVersion);
  copyFileSync(join(root, 'boot', `vmlinuz-${kernelVersion}`), join(image, 'vmlinuz'));
  rmSync(join(root, 'boot'), { recursive: true });
  writeFileSync(join(image, 'initramfs.gz'), await makeInitramfs(root, kernelVersion));
  await makeFileSystem(root, join(image, 'root.img'), rootSizeMib);
}

async function unpackPackages(kernelPackage: string, work: string, root: string): Promise<void> {
  const archive = join(work, 'root.tar');
  const leftOut = ['doc', 'man', 'locale'].map((name) => `path-exclude=/usr/share/${name}/*`);
  await runCommand(
    'mmdebstrap',
    [
      '--variant=extract',
      '--aptopt=APT::Install-Recommends "false"',
      ...leftOut.map((option) => `--dpkgopt=${option}`),
      `--include=${[kernelPackage, ...packages].join(',')}`,
      '--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr',
      debianSuite,
      archive,
    ],
    { timeoutMs: buildTimeoutMs },
  );
  // Device nodes are the guest kernel's business, and owners do not matter there.
  await runCommand('tar', ['-xf', archive, '-C', root, '--exclude=./dev/*', '--no-same-owner']);
}

/** What depmod does at installation; run with the root's own libraries, for the host may have none of it. */
async function indexModules(root: string, kernelVersion: string): Promise<void> {
  await runCommand(join(root, 'lib64/ld-linux-x86-64.so.2'), [
    '--argv0',
    'depmod',
    '--library-path',
    join(root, 'usr/lib/x86_64-linux-gnu'),
    join(root, 'usr/bin/kmod'),
    '-b',
    root,
    kernelVersion,
  ]);
}

async function makeInitramfs(root: string, kernelVersion: string): Promise<Buffer> {
  const modules: { readonly path: string; readonly content: Buffer }[] = [];
  for (const [index, module] of earlyModules.entries()) {
    const packed = join(root, 'usr/lib/modules', kernelVersion, 'kernel', module);
    await runCommand('xz', ['--decompress', '--keep', packed]);
    const content = readFileSync(packed.replace(/\.xz$/, ''));
    // The order of names is the order of loading.
    modules.push({ path: `modules/${index}.ko`, content });
    rmSync(packed.replace(/\.xz$/, ''));
  }
  const folders = ['bin', 'dev', 'proc', 'sys', 'root', 'modules'].map((path) => ({ path }));
  const archive = createCpioArchive([
    ...folders,
    { path: 'bin/busybox', content: readFileSync(join(root, 'bin/busybox')), isExecutable: true },
    {
      path: 'init',
      content: readFileSync(join(scriptFolder, 'initramfs-init')),
      isExecutable: true,
    },
    ...modules,
  ]);
  return gzipSync(archive);
}

/** An ext4 file system with the content of a folder; the file is sparse. */
export async function makeFileSystem(folder: string, file: string, sizeMib: number): Promise<void> {
  // Without journal and lazy initialisation: it is written once, here.
  const features = ['-O', '^has_journal', '-E', 'lazy_itable_init=0', '-m', '0'];
  const isSystem = readdirSync(folder).length > 0;
  const content = isSystem ? ['-d', folder] : [];
  await runCommand('mkfs.ext4', ['-q', '-F', ...features, ...content, file, `${sizeMib}m`], {
    timeoutMs: 120_000,
  });
}
