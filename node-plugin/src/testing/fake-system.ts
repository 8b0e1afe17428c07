/**
 * A machine in memory: targets that may be connected to, devices with contents, mounts, paths and state files.
 * Each call can fail on cue, before or after its effect, or kill the plugin. It checks what a kernel would
 * punish: formatting a mounted device, mounting what is not formatted, disconnecting under a mount.
 */
import { assert } from '@varve/common/assert';
import type { Portal } from '@varve/contract/kubernetes/attachment-metadata';
import { ProblemError } from '@varve/contract/problem';
import type {
  FilesystemPlace,
  FilesystemUsage,
  Mount,
  MountRequest,
  NodeSystem,
  NvmeController,
  NvmeDevice,
  ProbeResult,
} from '../system/node-system.ts';
import { KilledError, type FaultPlan } from './fault-plan.ts';

/** A volume as the network offers it. */
export interface FakeTarget {
  readonly subsystemNqn: string;
  readonly namespaceUuid: string;
  sizeBytes: number;
  content: ProbeResult;
  /** What mkfs left half done. */
  isHalfFormatted: boolean;
  filesystemBytes: number;
  wasMounted: boolean;
}

interface FakeController extends NvmeController {
  readonly target: FakeTarget;
}

/** The machine. Counters and lists are for tests to look at. */
export class FakeSystem implements NodeSystem {
  readonly targets = new Map<string, FakeTarget>();
  readonly controllers = new Map<string, FakeController>();
  readonly mounts: Mount[] = [];
  readonly paths = new Map<string, 'folder' | 'file'>();
  readonly states = new Map<string, string>();
  readonly connectStrings: string[] = [];
  /** Portals at which nothing listens. */
  readonly deadPorts = new Set<number>();
  readonly frozen = new Set<string>();
  isUnreadable = false;
  multipath = true;
  faults: FaultPlan = () => undefined;
  /** Each killed plugin leaves calls behind that must not come through any more. */
  #isKilled = false;
  #nextController = 0;

  /** A new plugin is started. */
  restart(): void {
    this.#isKilled = false;
  }

  /** Offers a volume. */
  addTarget(target: Pick<FakeTarget, 'subsystemNqn' | 'namespaceUuid' | 'sizeBytes'>): FakeTarget {
    const full: FakeTarget = {
      ...target,
      content: { kind: 'nothing' },
      isHalfFormatted: false,
      filesystemBytes: 0,
      wasMounted: false,
    };
    this.targets.set(target.subsystemNqn, full);
    return full;
  }

  async hasMultipath(): Promise<boolean> {
    return this.#step('hasMultipath', () => this.multipath);
  }

  async listControllers(): Promise<readonly NvmeController[]> {
    return this.#step('listControllers', () => [...this.controllers.values()]);
  }

  async listDevices(): Promise<readonly NvmeDevice[]> {
    return this.#step('listDevices', () => this.#devices());
  }

  async probePortal({ port }: Portal): Promise<void> {
    await this.#step('probePortal', () => {
      if (this.deadPorts.has(port)) {
        throw new ProblemError('unavailable', `Connecting to port ${port} failed: ECONNREFUSED`);
      }
    });
  }

  async connectController(connectString: string): Promise<void> {
    await this.#step('connectController', () => {
      this.connectStrings.push(connectString);
      const options = new Map(connectString.split(',').map((each) => cut(each)));
      const target = this.targets.get(options.get('nqn') ?? '');
      if (target === undefined) throw new ProblemError('permission-denied', 'access refused');
      const name = `nvme${this.#nextController++}`;
      this.controllers.set(name, {
        name,
        target,
        subsystemNqn: target.subsystemNqn,
        hostNqn: options.get('hostnqn') ?? '',
        state: 'live',
        portal: { host: options.get('traddr') ?? '', port: Number(options.get('trsvcid')) },
      });
    });
  }

  async deleteController(name: string): Promise<void> {
    await this.#step('deleteController', () => {
      const controller = this.controllers.get(name);
      if (controller === undefined) return;
      const device = this.#deviceOf(controller.target);
      const mount = this.mounts.find((each) => each.deviceNumber === device.deviceNumber);
      assert(mount === undefined, `${name} is disconnected under the mount at ${mount?.path}`);
      this.controllers.delete(name);
    });
  }

  async rescanController(): Promise<void> {
    await this.#step('rescanController', () => undefined);
  }

  async listMounts(): Promise<readonly Mount[]> {
    return this.#step('listMounts', () => [...this.mounts]);
  }

  async mount({ source, target, type, options }: MountRequest): Promise<void> {
    await this.#step('mount', () => {
      assert(this.paths.has(target), `${target} is there to be mounted on`);
      const isReadOnly = options.includes('ro');
      if (type !== 'bind') {
        const device = this.#deviceAt(source);
        const backing = this.#targetOf(source);
        const { content, isHalfFormatted } = backing;
        const isFormatted = content.kind === 'filesystem' && content.type === type;
        assert(isFormatted && !isHalfFormatted, `${source} holds a whole ${type} when mounted`);
        backing.wasMounted = true;
        const { deviceNumber } = device;
        this.mounts.push({ path: target, deviceNumber, root: '/', type, isReadOnly });
        return;
      }
      const below = this.mounts.findLast((each) => each.path === source);
      if (below !== undefined) this.mounts.push({ ...below, path: target, isReadOnly });
      else if (source.startsWith('/dev/')) {
        const root = source.slice('/dev'.length);
        this.mounts.push({ path: target, deviceNumber: '0:5', root, type: 'devtmpfs', isReadOnly });
      } else throw new Error(`${source} is not mounted`);
    });
  }

  async unmount(path: string): Promise<void> {
    await this.#step('unmount', () => {
      const index = this.mounts.findLastIndex((each) => each.path === path);
      if (index < 0) throw new Error(`${path} is not mounted`);
      this.mounts.splice(index, 1);
    });
  }

  async makeFolder(path: string): Promise<void> {
    await this.#step('makeFolder', () => void this.paths.set(path, 'folder'));
  }

  async makeFile(path: string): Promise<void> {
    await this.#step('makeFile', () => void this.paths.set(path, 'file'));
  }

  async removeTarget(path: string): Promise<void> {
    await this.#step('removeTarget', () => {
      assert(!this.mounts.some((each) => each.path === path), `${path} is unmounted when removed`);
      this.paths.delete(path);
    });
  }

  async usage(): Promise<FilesystemUsage> {
    return this.#step('usage', () => ({
      totalBytes: 100,
      availableBytes: 60,
      usedBytes: 40,
      totalInodes: 10,
      freeInodes: 9,
    }));
  }

  async probeDevice(device: string): Promise<ProbeResult> {
    return this.#step('probeDevice', () => {
      if (this.isUnreadable) throw new ProblemError('unavailable', `Reading ${device} failed: EIO`);
      const target = this.#targetOf(device);
      return target.isHalfFormatted ? { kind: 'nothing' } : target.content;
    });
  }

  async makeFilesystem({ device, type }: FilesystemPlace): Promise<void> {
    const target = this.#targetOf(device);
    const { deviceNumber } = this.#deviceAt(device);
    const mount = this.mounts.find((each) => each.deviceNumber === deviceNumber);
    assert(mount === undefined, `${device} is formatted while it is mounted at ${mount?.path}`);
    assert(!target.wasMounted, `${device} is formatted after it was in use`);
    target.isHalfFormatted = true;
    await this.#step('makeFilesystem', () => {
      target.content = { kind: 'filesystem', type };
      target.isHalfFormatted = false;
      target.filesystemBytes = target.sizeBytes;
    });
  }

  async checkFilesystem(): Promise<void> {
    await this.#step('checkFilesystem', () => undefined);
  }

  async growFilesystem({ device }: FilesystemPlace): Promise<void> {
    await this.#step('growFilesystem', () => {
      const target = this.#targetOf(device);
      target.filesystemBytes = target.sizeBytes;
    });
  }

  async syncFilesystem(): Promise<void> {
    await this.#step('syncFilesystem', () => undefined);
  }

  async flushDevice(): Promise<void> {
    await this.#step('flushDevice', () => undefined);
  }

  async freezeFilesystem(path: string): Promise<void> {
    await this.#step('freezeFilesystem', () => {
      assert(!this.frozen.has(path), `${path} is frozen once`);
      this.frozen.add(path);
    });
  }

  async thawFilesystem(path: string): Promise<void> {
    await this.#step('thawFilesystem', () => void this.frozen.delete(path));
  }

  async listStates(): Promise<readonly string[]> {
    return this.#step('listStates', () => [...this.states.keys()]);
  }

  async readState(name: string): Promise<string | undefined> {
    return this.#step('readState', () => this.states.get(name));
  }

  async writeState(name: string, content: string): Promise<void> {
    await this.#step('writeState', () => void this.states.set(name, content));
  }

  async removeState(name: string): Promise<void> {
    await this.#step('removeState', () => void this.states.delete(name));
  }

  async #step<Result>(method: string, effect: () => Result): Promise<Result> {
    if (this.#isKilled) throw new KilledError('the plugin is dead');
    const fault = this.faults(method);
    if (fault === 'kill') {
      this.#isKilled = true;
      throw new KilledError(`killed at ${method}`);
    }
    if (fault === 'before') throw new Error(`${method} fails before its effect`);
    const result = effect();
    if (fault === 'after') throw new Error(`${method} fails after its effect`);
    return Promise.resolve(result);
  }

  #devices(): readonly NvmeDevice[] {
    const controllers = [...this.controllers.values()];
    return [...this.targets.values()]
      .filter((target) => controllers.some((each) => each.target === target))
      .map((target) => this.#deviceOf(target));
  }

  #deviceOf(target: FakeTarget): NvmeDevice {
    const index = [...this.targets.values()].indexOf(target);
    const { subsystemNqn, namespaceUuid, sizeBytes } = target;
    return {
      path: `/dev/nvme${index}n1`,
      subsystemNqn,
      namespaceUuid,
      sizeBytes,
      deviceNumber: `259:${index}`,
    };
  }

  #deviceAt(path: string): NvmeDevice {
    const device = this.#devices().find((each) => each.path === path);
    if (device === undefined) throw new Error(`${path} is not there`);
    return device;
  }

  #targetOf(path: string): FakeTarget {
    const target = this.targets.get(this.#deviceAt(path).subsystemNqn);
    assert(target !== undefined, `${path} has a target`);
    return target;
  }
}

function cut(option: string): [string, string] {
  const equals = option.indexOf('=');
  return [option.slice(0, equals), option.slice(equals + 1)];
}
