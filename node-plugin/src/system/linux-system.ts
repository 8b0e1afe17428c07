/**
 * The machine itself: Linux with util-linux, e2fsprogs and xfsprogs. It runs as root, with the node's /dev and
 * /sys.
 */
import { mkdir, open, readFile, rmdir, stat, statfs, unlink } from 'node:fs/promises';
import type { Portal } from '@varve/contract/kubernetes/attachment-metadata';
import { checkFilesystem, growFilesystem, makeFilesystem, probeDevice } from './device-programs.ts';
import { connectController, probePortal } from './fabrics-device.ts';
import { parseMountTable } from './mount-table.ts';
import type {
  FilesystemPlace,
  FilesystemUsage,
  Mount,
  MountRequest,
  NodeSystem,
  NvmeController,
  NvmeDevice,
  ProbeResult,
} from './node-system.ts';
import { requireProgram, runProgram } from './run-program.ts';
import { StateFolder } from './state-folder.ts';
import { SysfsNvme } from './sysfs-nvme.ts';

/** Mounting replays a journal, unmounting writes back what is in memory: both take their time. */
const mountTimeoutMs = 90_000;
const freezeTimeoutMs = 10_000;

/** The real machine. */
export class LinuxSystem implements NodeSystem {
  readonly #nvme = new SysfsNvme('/sys');
  readonly #state: StateFolder;

  /** State files lie in `stateFolder`: it lives as long as mounts do, until the node restarts. */
  constructor(stateFolder: string) {
    this.#state = new StateFolder(stateFolder);
  }

  async hasMultipath(): Promise<boolean> {
    return this.#nvme.hasMultipath();
  }

  async listControllers(): Promise<readonly NvmeController[]> {
    return this.#nvme.listControllers();
  }

  async listDevices(): Promise<readonly NvmeDevice[]> {
    return this.#nvme.listDevices();
  }

  async probePortal(portal: Portal): Promise<void> {
    await probePortal(portal);
  }

  async connectController(connectString: string): Promise<void> {
    await connectController(connectString, async () => this.#nvme.hasTcp());
  }

  async deleteController(name: string): Promise<void> {
    await this.#nvme.tell(name, 'delete_controller');
  }

  async rescanController(name: string): Promise<void> {
    await this.#nvme.tell(name, 'rescan_controller');
  }

  async listMounts(): Promise<readonly Mount[]> {
    return parseMountTable(await readFile('/proc/self/mountinfo', 'utf8'));
  }

  async mount({ source, target, type, options }: MountRequest): Promise<void> {
    const kind = type === 'bind' ? ['--bind'] : ['-t', type];
    const list = options.length === 0 ? [] : ['-o', options.join(',')];
    const args = [...kind, ...list, source, target];
    await requireProgram('mount', args, { timeoutMs: mountTimeoutMs });
  }

  async unmount(path: string): Promise<void> {
    await requireProgram('umount', [path], { timeoutMs: mountTimeoutMs });
  }

  async makeFolder(path: string): Promise<void> {
    await mkdir(path, { mode: 0o750 }).catch(ignoring('EEXIST'));
  }

  async makeFile(path: string): Promise<void> {
    const file = await open(path, 'ax', 0o600).catch(ignoring('EEXIST'));
    if (file !== undefined) await file.close();
  }

  async removeTarget(path: string): Promise<void> {
    const found = await stat(path).catch(ignoring('ENOENT'));
    if (found === undefined) return;
    if (found.isDirectory()) await rmdir(path);
    else if (found.isFile() && found.size === 0) await unlink(path);
    else
      throw new Error(`Removing ${path} failed: it is neither an empty folder nor an empty file`);
  }

  async usage(path: string): Promise<FilesystemUsage> {
    const found = await statfs(path);
    return {
      totalBytes: found.blocks * found.bsize,
      availableBytes: found.bavail * found.bsize,
      usedBytes: (found.blocks - found.bfree) * found.bsize,
      totalInodes: found.files,
      freeInodes: found.ffree,
    };
  }

  async probeDevice(device: string): Promise<ProbeResult> {
    return probeDevice(device);
  }

  async makeFilesystem(place: FilesystemPlace): Promise<void> {
    await makeFilesystem(place);
  }

  async checkFilesystem(place: FilesystemPlace): Promise<void> {
    await checkFilesystem(place);
  }

  async growFilesystem(place: FilesystemPlace & { readonly mountedAt: string }): Promise<void> {
    await growFilesystem(place, place.mountedAt);
  }

  async syncFilesystem(path: string): Promise<void> {
    await requireProgram('sync', ['-f', path], { timeoutMs: mountTimeoutMs });
  }

  async flushDevice(device: string): Promise<void> {
    await requireProgram('blockdev', ['--flushbufs', device], { timeoutMs: mountTimeoutMs });
  }

  async freezeFilesystem(path: string): Promise<void> {
    await requireProgram('fsfreeze', ['--freeze', path], { timeoutMs: freezeTimeoutMs });
  }

  async thawFilesystem(path: string): Promise<void> {
    const result = await runProgram('fsfreeze', ['--unfreeze', path], freezeTimeoutMs);
    if (result.code === 0 || result.stderr.includes('Invalid argument')) return;
    throw new Error(`Thawing ${path} failed: ${result.stderr.trim()}`);
  }

  async listStates(): Promise<readonly string[]> {
    return this.#state.list();
  }

  async readState(name: string): Promise<string | undefined> {
    return this.#state.read(name);
  }

  async writeState(name: string, content: string): Promise<void> {
    await this.#state.write(name, content);
  }

  async removeState(name: string): Promise<void> {
    await this.#state.remove(name);
  }
}

function codeOf(error: unknown): unknown {
  return (error as { readonly code?: unknown }).code;
}

function ignoring(code: string): (error: unknown) => undefined {
  return (error) => {
    if (codeOf(error) !== code) throw error;
    return undefined;
  };
}
