/**
 * All controllers of a target, and the rules by which hosts get one (NVMe over Fabrics 1.1, section 3.3).
 *
 * A host that reconnects sends again what it has no answer for. So a new controller is given only when every
 * command that still runs for an older one of the same host on the same volume has ended: an old write cannot land
 * after the host was told that it is connected again. Older controllers stay: they may be another path.
 */
import { nbdBufferClasses, nvmeControllersMax, nvmeDiscoveriesMax } from '../limits.ts';
import { IoBufferPool } from '../nbd/io-buffer.ts';
import { roundKeepAlive } from './controller/features.ts';
import { NvmeController } from './controller/nvme-controller.ts';
import { NvmeTally } from './nvme-counters.ts';
import type { TargetBudget } from './nvme-budget.ts';
import { NvmeStatus, type NvmeStatusValue } from './nvme-status.ts';
import type {
  NvmeAttachment,
  NvmeHost,
  NvmeRefusal,
  NvmeSubsystems,
  NvmeTransportAddress,
} from './ports.ts';
import { ConnectField } from './queue/connect-command.ts';
import { discoveryNqn } from './wire-constants.ts';

/** Who wants a controller. */
export interface ControllerRequest {
  readonly subsystemNqn: string;
  readonly host: NvmeHost;
  readonly keepAliveMs: number;
  readonly localAddress: NvmeTransportAddress;
}

/** Why a Connect is refused. */
export interface ConnectRefusal {
  readonly status: NvmeStatusValue;
  /** DW0: which field. */
  readonly result: number;
}

/** What a target is made of. */
export interface NvmeTargetOptions {
  /** Tells hosts which version this is. */
  readonly firmwareRevision: string;
}

/** What a target needs. */
export interface NvmeTargetDependencies {
  readonly subsystems: NvmeSubsystems;
  /** Where data of commands lies while they run; ordinary memory by default. */
  readonly buffers?: IoBufferPool | undefined;
}

/** CNTLID is 16 bits; 0xfff0 and above mean something else. */
const controllerIdMax = 0xffef;
const serialDigits = 20;
const busy: ConnectRefusal = { status: NvmeStatus.CONNECT_CONTROLLER_BUSY, result: 0 };

/** The controllers. */
export class NvmeTarget {
  /** Memory for data, shared by all queues. */
  readonly budget: TargetBudget = { usedBytes: 0 };
  readonly buffers: IoBufferPool;
  readonly tally = new NvmeTally();
  /** Queues whose host did not prove itself. */
  authenticationFailureCount = 0;
  readonly #firmwareRevision: string;
  readonly #subsystems: NvmeSubsystems;
  readonly #controllers = new Map<number, NvmeController>();
  readonly #endWaiters = new Map<NvmeController, (() => void)[]>();
  #lastControllerId = 0;
  #isStopping = false;

  constructor({ firmwareRevision }: NvmeTargetOptions, dependencies: NvmeTargetDependencies) {
    const { subsystems, buffers } = dependencies;
    this.#firmwareRevision = firmwareRevision;
    this.#subsystems = subsystems;
    this.buffers = buffers ?? new IoBufferPool(nbdBufferClasses, allocate);
  }

  /** All controllers, ending ones included. */
  get controllers(): Iterable<NvmeController> {
    return this.#controllers.values();
  }

  get controllerCount(): number {
    return this.#controllers.size;
  }

  /** Gives a host a controller, or says why not. `done` is called once, perhaps before this returns. */
  connect(
    request: ControllerRequest,
    done: (outcome: NvmeController | ConnectRefusal) => void,
  ): void {
    this.#whenOlderSettle(request, () => {
      done(this.#hasRoom(request) ? this.#create(request) : busy);
    });
  }

  /** Controllers of this subsystem are another target's. */
  isElsewhere(subsystemNqn: string): boolean {
    return this.#subsystems.isElsewhere?.(subsystemNqn) === true;
  }

  /** The controller that an I/O queue names; undefined unless it is this host's, on that subsystem. */
  find(controllerId: number, subsystemNqn: string, host: NvmeHost): NvmeController | undefined {
    const controller = this.#controllers.get(controllerId);
    if (!controller || controller.isEnding) return undefined;
    const isIts =
      controller.identity.subsystemNqn === subsystemNqn && isSameHost(controller.host, host);
    return isIts ? controller : undefined;
  }

  /** Ends controllers; resolves when nothing is under way on any of them. */
  async end(reason: string, matches: (controller: NvmeController) => boolean): Promise<void> {
    const ended: Promise<void>[] = [];
    for (const controller of this.#controllers.values()) {
      if (!matches(controller)) continue;
      ended.push(
        new Promise((resolve) => {
          const waiters = this.#endWaiters.get(controller) ?? [];
          this.#endWaiters.set(controller, [...waiters, resolve]);
        }),
      );
      controller.end(reason);
    }
    await Promise.all(ended);
  }

  /** Ends all controllers, and gives no new ones. */
  async stop(reason: string): Promise<void> {
    this.#isStopping = true;
    await this.end(reason, () => true);
  }

  /** Tells hosts that look for subsystems to look again. */
  discoveryChanged(): void {
    for (const controller of this.#controllers.values()) controller.discoveryChanged();
  }

  /** Anybody may ask what there is to discover; that must not keep out who has a grant. */
  #hasRoom({ subsystemNqn }: ControllerRequest): boolean {
    const isDiscovery = subsystemNqn === discoveryNqn;
    let count = 0;
    for (const { identity } of this.#controllers.values()) {
      if (identity.isDiscovery === isDiscovery) count++;
    }
    return !this.#isStopping && count < (isDiscovery ? nvmeDiscoveriesMax : nvmeControllersMax);
  }

  #create(request: ControllerRequest): NvmeController | ConnectRefusal {
    const { subsystemNqn, host, localAddress } = request;
    const isDiscovery = subsystemNqn === discoveryNqn;
    const controllerId = this.#newControllerId();
    let controller: NvmeController | undefined;
    const evicted = (reason: string): void => controller?.end(reason);
    const attachment = isDiscovery
      ? undefined
      : this.#subsystems.attach(subsystemNqn, host, evicted);
    if (typeof attachment === 'string') return refuse(attachment);
    controller = new NvmeController(
      {
        identity: {
          controllerId,
          isDiscovery,
          subsystemNqn,
          serialNumber: serialNumber(attachment),
          firmwareRevision: this.#firmwareRevision,
        },
        host,
        attachment,
        localAddress,
        keepAliveMs: roundKeepAlive(request.keepAliveMs),
      },
      {
        visibleSubsystems: () => this.#subsystems.visibleTo(host.nqn),
        ended: (ended) => this.#forget(ended),
      },
    );
    this.#controllers.set(controllerId, controller);
    return controller;
  }

  #whenOlderSettle({ subsystemNqn, host }: ControllerRequest, settled: () => void): void {
    const older = [...this.#controllers.values()].filter(
      ({ identity, host: other }) =>
        !identity.isDiscovery && identity.subsystemNqn === subsystemNqn && isSameHost(other, host),
    );
    let restCount = older.length;
    if (restCount === 0) settled();
    for (const controller of older) {
      controller.whenRunningEnd(() => {
        restCount--;
        if (restCount === 0) settled();
      });
    }
  }

  #newControllerId(): number {
    do {
      this.#lastControllerId = (this.#lastControllerId % controllerIdMax) + 1;
    } while (this.#controllers.has(this.#lastControllerId));
    return this.#lastControllerId;
  }

  #forget(controller: NvmeController): void {
    this.#controllers.delete(controller.identity.controllerId);
    const waiters = this.#endWaiters.get(controller) ?? [];
    this.#endWaiters.delete(controller);
    for (const resolve of waiters) resolve();
  }
}

function allocate(sizeBytes: number): Buffer {
  return Buffer.allocUnsafeSlow(sizeBytes);
}

function refuse(refusal: NvmeRefusal): ConnectRefusal {
  switch (refusal) {
    case 'unknown':
      return { status: NvmeStatus.CONNECT_INVALID_PARAMETERS, result: ConnectField.SUBNQN };
    case 'forbidden':
      return { status: NvmeStatus.CONNECT_INVALID_HOST, result: 0 };
    default:
      return busy;
  }
}

function isSameHost(a: NvmeHost, b: NvmeHost): boolean {
  return a.nqn === b.nqn && a.id === b.id;
}

/** The volume's UUID, as far as it fits. */
function serialNumber(attachment: NvmeAttachment | undefined): string {
  if (!attachment) return 'discovery';
  return Buffer.from(attachment.uuid).toString('hex').slice(0, serialDigits);
}
