/**
 * Attaching and detaching one volume. Both may be repeated at any point: attaching connects what is missing,
 * detaching ends what is there and returns only when sysfs shows nothing of it any more.
 */
import { waitFor, type Clock } from '@varve/common/clock';
import type { Logger } from '@varve/common/logger';
import {
  formatPortal,
  type AttachmentMetadata,
  type Portal,
} from '@varve/contract/kubernetes/attachment-metadata';
import { isProblemError, ProblemError } from '@varve/contract/problem';
import type { NvmeDevice, NvmeSystem } from '../system/node-system.ts';
import {
  formatConnectString,
  type ConnectRequest,
  type HostKeys,
  type PathOptions,
} from './connect-string.ts';
import { decideDevice, type DeviceIdentity } from './decide-device.ts';
import { decidePaths } from './decide-paths.ts';
import { hostIdentityOf } from './host-identity.ts';

/** Looks at sysfs, and pauses between two: 20 s in all, well within kubelet's 2 minutes for a call. */
const looksMax = 100;
const lookPauseMs = 200;

/** What attaching takes. */
export interface AttachmentDependencies {
  readonly system: NvmeSystem;
  readonly clock: Clock;
  readonly log: Logger;
}

/** How to connect. */
export interface AttachmentOptions {
  readonly path: PathOptions;
}

/** Names a volume on this machine. */
type AttachedIdentity = Pick<DeviceIdentity, 'subsystemNqn' | 'namespaceUuid'>;

/** Attaches and detaches volumes. */
export class Attachment {
  readonly #options: AttachmentOptions;
  readonly #system: NvmeSystem;
  readonly #clock: Clock;
  readonly #log: Logger;

  constructor(options: AttachmentOptions, dependencies: AttachmentDependencies) {
    this.#options = options;
    this.#system = dependencies.system;
    this.#clock = dependencies.clock;
    this.#log = dependencies.log;
  }

  /** Connects the paths that are missing, and finds the device. */
  async attach(metadata: AttachmentMetadata, keys: HostKeys): Promise<NvmeDevice> {
    const { subsystemNqn, namespaceUuid, sizeBytes: minimumBytes } = metadata;
    await this.#connect(metadata, keys);
    return this.waitForDevice({ subsystemNqn, namespaceUuid, minimumBytes });
  }

  /** The device of a volume that is attached; undefined when it is not. */
  async findDevice(volume: AttachedIdentity): Promise<NvmeDevice | undefined> {
    const decision = decideDevice(await this.#system.listDevices(), { ...volume, minimumBytes: 0 });
    if (decision.kind === 'mismatch') throw mismatchProblem(volume, decision.why);
    return decision.kind === 'found' ? decision.device : undefined;
  }

  /** All block devices of a subsystem, whatever they are. */
  async devicesOf(subsystemNqn: string): Promise<readonly NvmeDevice[]> {
    const devices = await this.#system.listDevices();
    return devices.filter((each) => each.subsystemNqn === subsystemNqn);
  }

  /** Waits until the device is there with its size; the kernel looks for namespaces on its own after connecting. */
  async waitForDevice(wanted: DeviceIdentity): Promise<NvmeDevice> {
    for (let look = 1; ; look++) {
      const decision = decideDevice(await this.#system.listDevices(), wanted);
      if (decision.kind === 'found') return decision.device;
      if (decision.kind === 'mismatch') throw mismatchProblem(wanted, decision.why);
      if (look === looksMax) throw absentProblem(wanted, decision);
      if (look % 10 === 5) await this.rescan(wanted.subsystemNqn);
      await waitFor(this.#clock, lookPauseMs);
    }
  }

  /** Makes the kernel look at a volume's size again. */
  async rescan(subsystemNqn: string): Promise<void> {
    for (const controller of await this.#controllersOf(subsystemNqn)) {
      if (controller.state === 'live') await this.#system.rescanController(controller.name);
    }
  }

  /** Why I/O to a volume waits; undefined when a path is there. */
  async pathTrouble(subsystemNqn: string): Promise<string | undefined> {
    const controllers = await this.#controllersOf(subsystemNqn);
    if (controllers.some(({ state }) => state === 'live')) return undefined;
    if (controllers.length === 0) return 'the volume is not connected';
    const states = controllers.map(
      ({ name, portal, state }) => `${name} to ${formatPortal(portal)} is ${state}`,
    );
    return `no path is live: ${states.join(', ')}`;
  }

  /** Ends all connections to a volume; when it returns, neither controllers nor devices are left. */
  async detach(subsystemNqn: string): Promise<void> {
    const told = new Set<string>();
    for (let look = 1; ; look++) {
      const controllers = await this.#controllersOf(subsystemNqn);
      const devices = await this.devicesOf(subsystemNqn);
      if (controllers.length === 0 && devices.length === 0) return;
      for (const { name, state } of controllers) {
        if (told.has(name) || state.startsWith('deleting')) continue;
        await this.#system.deleteController(name);
        told.add(name);
      }
      if (look === looksMax) {
        const left = [...controllers.map(({ name }) => name), ...devices.map(({ path }) => path)];
        throw new ProblemError(
          'unavailable',
          `Disconnecting ${subsystemNqn} failed: ${left.join(', ')} did not go away`,
        );
      }
      await waitFor(this.#clock, lookPauseMs);
    }
  }

  async #controllersOf(subsystemNqn: string) {
    const controllers = await this.#system.listControllers();
    return controllers.filter((each) => each.subsystemNqn === subsystemNqn);
  }

  async #connect(metadata: AttachmentMetadata, keys: HostKeys): Promise<void> {
    const { subsystemNqn, portals, hostNqn } = metadata;
    const { path } = this.#options;
    const identity = hostIdentityOf(hostNqn);
    const hasMultipath = await this.#system.hasMultipath();
    const missing = await this.#missingPortals(metadata, hasMultipath);
    const failures: unknown[] = [];
    for (const portal of missing) {
      try {
        await this.#connectPath({ subsystemNqn, portal, identity, path, keys });
        if (!hasMultipath) return;
      } catch (error) {
        failures.push(error);
        this.#log.warn({ subsystemNqn, portal: formatPortal(portal), err: error }, 'no path');
      }
    }
    // One path is enough to go on; with none, the first reason is the one to tell.
    if (failures.length === portals.length) throw failures[0];
  }

  async #missingPortals(
    { subsystemNqn, portals, hostNqn }: AttachmentMetadata,
    hasMultipath: boolean,
  ): Promise<readonly Portal[]> {
    const wanted = { subsystemNqn, hostNqn, portals, hasMultipath };
    for (let look = 1; ; look++) {
      const controllers = await this.#system.listControllers();
      const decision = decidePaths(controllers, wanted);
      if (decision.kind === 'connect') return decision.portals;
      const message = `Attaching ${subsystemNqn} failed: ${decision.why}`;
      if (decision.kind === 'refuse') throw new ProblemError('failed-precondition', message);
      if (look === looksMax) throw new ProblemError('unavailable', message);
      await waitFor(this.#clock, lookPauseMs);
    }
  }

  /** A portal that is dead would keep the kernel, and a thread of ours, for minutes: so it is tried before. */
  async #connectPath(request: ConnectRequest): Promise<void> {
    const connectString = formatConnectString(request);
    await this.#system.probePortal(request.portal);
    try {
      await this.#system.connectController(connectString);
    } catch (error) {
      if (!isProblemError(error)) throw error;
      const where = `${request.subsystemNqn} at ${formatPortal(request.portal)}`;
      throw new ProblemError(error.kind, `Attaching ${where} failed: ${error.message}`, {
        cause: error,
      });
    }
  }
}

function mismatchProblem(volume: AttachedIdentity, why: string): ProblemError {
  return new ProblemError(
    'failed-precondition',
    `Finding the device of ${volume.subsystemNqn} with UUID ${volume.namespaceUuid} failed: ${why}. ` +
      'It is not the volume, and is left alone: disconnect it, or look for two volumes with one identity',
  );
}

function absentProblem(
  wanted: DeviceIdentity,
  decision: ReturnType<typeof decideDevice>,
): ProblemError {
  const why =
    decision.kind === 'too-small'
      ? `${decision.device.path} has ${decision.device.sizeBytes} bytes, the volume ${wanted.minimumBytes} at least`
      : 'the kernel is connected and shows no device';
  return new ProblemError(
    'unavailable',
    `Finding the device of ${wanted.subsystemNqn} failed: ${why}; look at the node's kernel log`,
  );
}
