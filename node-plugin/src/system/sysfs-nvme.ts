/**
 * NVMe controllers and namespaces as sysfs shows them. With native multipath the block device belongs to the
 * subsystem, without it to the controller; both have a link `device` to what names the subsystem. A controller
 * that vanishes while it is read is gone; anything else that cannot be read is an error.
 */
import { constants, open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { NvmeController, NvmeDevice } from './node-system.ts';

const sectorBytes = 512;

/** Reads sysfs, or what looks like it. */
export class SysfsNvme {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  /** Whether nvme_core joins paths; without the module there are none. */
  async hasMultipath(): Promise<boolean> {
    return (await this.#read('module/nvme_core/parameters/multipath')) === 'Y';
  }

  /** Whether the transport is loaded. */
  async hasTcp(): Promise<boolean> {
    return (await this.#list('module')).includes('nvme_tcp');
  }

  /** Controllers over TCP. */
  async listControllers(): Promise<readonly NvmeController[]> {
    const controllers: NvmeController[] = [];
    for (const name of await this.#list('class/nvme')) {
      const read = async (file: string) => this.#read(`class/nvme/${name}/${file}`);
      if ((await read('transport')) !== 'tcp') continue;
      const [subsystemNqn, hostNqn] = [await read('subsysnqn'), await read('hostnqn')];
      const [state, address] = [await read('state'), await read('address')];
      if (subsystemNqn === undefined || state === undefined || address === undefined) continue;
      const portal = parseAddress(address);
      controllers.push({ name, subsystemNqn, hostNqn: hostNqn ?? '', state, portal });
    }
    return controllers;
  }

  /** Block devices; the hidden ones of single paths, `nvme0c1n1`, are not among them. */
  async listDevices(): Promise<readonly NvmeDevice[]> {
    const devices: NvmeDevice[] = [];
    for (const name of await this.#list('block')) {
      if (!/^nvme[0-9]+n[0-9]+$/.test(name)) continue;
      const read = async (file: string) => this.#read(`block/${name}/${file}`);
      const [subsystemNqn, deviceNumber] = [await read('device/subsysnqn'), await read('dev')];
      const [size, uuid] = [await read('size'), await read('uuid')];
      if (subsystemNqn === undefined || deviceNumber === undefined || size === undefined) continue;
      const namespaceUuid = (uuid ?? '').toLowerCase();
      const sizeBytes = Number(size) * sectorBytes;
      const path = `/dev/${name}`;
      devices.push({ path, subsystemNqn, namespaceUuid, sizeBytes, deviceNumber });
    }
    return devices;
  }

  /** Writes to a controller's file; one that is gone needs nothing. */
  async tell(controller: string, file: 'delete_controller' | 'rescan_controller'): Promise<void> {
    try {
      // Neither to be read nor to be created: sysfs refuses both, also to root.
      const path = join(this.#root, 'class/nvme', controller, file);
      const opened = await open(path, constants.O_WRONLY);
      try {
        await opened.write('1');
      } finally {
        await opened.close();
      }
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }

  async #list(folder: string): Promise<readonly string[]> {
    try {
      return await readdir(join(this.#root, folder));
    } catch (error) {
      if (isGone(error)) return [];
      throw error;
    }
  }

  async #read(file: string): Promise<string | undefined> {
    try {
      return (await readFile(join(this.#root, file), 'utf8')).trim();
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    }
  }
}

function parseAddress(text: string): { readonly host: string; readonly port: number } {
  const fields = new Map(text.split(',').map((field) => splitOnce(field)));
  return { host: fields.get('traddr') ?? '', port: Number(fields.get('trsvcid') ?? 0) };
}

function splitOnce(field: string): [string, string] {
  const equals = field.indexOf('=');
  return [field.slice(0, equals), field.slice(equals + 1)];
}

function isGone(error: unknown): boolean {
  const { code } = error as { readonly code?: unknown };
  return code === 'ENOENT' || code === 'ENODEV' || code === 'ENXIO' || code === 'ENOTDIR';
}
