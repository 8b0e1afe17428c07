/**
 * Fabrics commands of one queue (NVMe over Fabrics 1.1, section 3): Connect, which makes it a queue of a controller;
 * authentication, where the host's grant has a secret; and the properties of that controller.
 */
import {
  nvmeAuthenticationBytesMax,
  nvmeEventRequestsMax,
  nvmeQueueEntriesMax,
} from '../../limits.ts';
import { DhchapController } from '../auth/dhchap-controller.ts';
import type { CommandReply } from '../controller/command-reply.ts';
import type { ControllerQueue, NvmeController } from '../controller/nvme-controller.ts';
import { NvmeStatus, type NvmeStatusValue } from '../nvme-status.ts';
import type { ConnectRefusal, NvmeTarget } from '../nvme-target.ts';
import type { NvmeHost, NvmeTransportAddress } from '../ports.ts';
import { fabricsOpcode, FabricsType } from '../wire-constants.ts';
import type { CommandSlot } from './command-slot.ts';
import {
  type ConnectCommand,
  connectDataBytes,
  ConnectField,
  dynamicControllerId,
  readConnect,
} from './connect-command.ts';

/** What fabrics commands need. */
export interface FabricsDependencies {
  readonly target: NvmeTarget;
  readonly queue: ControllerQueue & { readonly isOpen: boolean };
  readonly complete: (command: CommandSlot, reply: CommandReply) => void;
  /** The subsystem of a Connect is another target's. */
  readonly elsewhere: (command: CommandSlot, subsystemNqn: string) => void;
  /** Called before the reply to a Connect that succeeded. */
  readonly connected: (slots: number, terms: Pick<ConnectCommand, 'hasNoSqFlow'>) => void;
}

/** SECP 0xe9 (NVMe), SPSP 1 and 1. */
const securityProtocol = 0xe9_0101;
/** "Authentication transaction required", in the answer to Connect. */
const authenticationRequired = 0x2_0000;

const busy: CommandReply = { status: NvmeStatus.CONNECT_CONTROLLER_BUSY };

/** The fabrics commands of one queue. */
export class FabricsCommands {
  readonly #localAddress: NvmeTransportAddress;
  readonly #dependencies: FabricsDependencies;
  #controller: NvmeController | undefined;
  #authentication: DhchapController | undefined;
  #queueId = 0;
  #isConnecting = false;

  constructor(
    { localAddress }: { readonly localAddress: NvmeTransportAddress },
    dependencies: FabricsDependencies,
  ) {
    this.#localAddress = localAddress;
    this.#dependencies = dependencies;
  }

  /** Undefined until a Connect has succeeded. */
  get controller(): NvmeController | undefined {
    return this.#controller;
  }

  get queueId(): number {
    return this.#queueId;
  }

  /** Other commands may run. */
  get isUsable(): boolean {
    return this.#controller !== undefined && this.#authentication?.isAuthenticated !== false;
  }

  /** Status of any command that must not run now. */
  judge(command: CommandSlot): NvmeStatusValue {
    const isConnect =
      command.opcode === fabricsOpcode && command.fabricsType === FabricsType.CONNECT;
    if (isConnect) {
      if (this.#controller || this.#isConnecting) return NvmeStatus.COMMAND_SEQUENCE_ERROR;
      const hasData = command.sglBytes === connectDataBytes;
      return hasData ? NvmeStatus.SUCCESS : NvmeStatus.DATA_SGL_LENGTH_INVALID;
    }
    if (!this.#controller) return NvmeStatus.COMMAND_SEQUENCE_ERROR;
    const isFabrics = command.opcode === fabricsOpcode;
    if (isFabrics && this.#authentication && isAuthentication(command)) {
      return judgeAuthentication(command);
    }
    if (!this.isUsable) return NvmeStatus.AUTHENTICATION_REQUIRED;
    if (!isFabrics) return NvmeStatus.SUCCESS;
    const isProperty =
      command.fabricsType === FabricsType.PROPERTY_GET ||
      command.fabricsType === FabricsType.PROPERTY_SET;
    return isProperty && this.#queueId === 0 ? NvmeStatus.SUCCESS : NvmeStatus.INVALID_OPCODE;
  }

  /** Runs a fabrics command that was judged good. */
  run(command: CommandSlot): void {
    if (command.fabricsType === FabricsType.CONNECT) this.#connect(command);
    else if (isAuthentication(command)) this.#authenticate(command, this.#authentication!);
    else this.#dependencies.complete(command, this.#accessProperty(command));
  }

  /** The connection is closed. */
  closed(): void {
    this.#controller?.queueClosed(this.#queueId, this.#dependencies.queue);
  }

  /** Nothing is under way on the queue any more. */
  drained(): void {
    this.#controller?.queueDrained(this.#dependencies.queue);
  }

  #accessProperty(command: CommandSlot): CommandReply {
    const isEightBytes = (command.dword10 & 0x7) === 1;
    const offset = command.dword11;
    if (command.fabricsType === FabricsType.PROPERTY_GET) {
      const value = this.#controller!.properties.get(offset, isEightBytes);
      if (!value) return { status: NvmeStatus.INVALID_FIELD };
      return { status: NvmeStatus.SUCCESS, result: value.low, resultHigh: value.high };
    }
    const isSet = this.#controller!.setProperty(offset, isEightBytes, command.dword12);
    return { status: isSet ? NvmeStatus.SUCCESS : NvmeStatus.INVALID_FIELD };
  }

  /** A failure is told, then the connection ends; a host that proves itself again on a live queue goes on meanwhile. */
  #authenticate(command: CommandSlot, authentication: DhchapController): void {
    const { complete, queue, target } = this.#dependencies;
    const hasFailed = (): boolean => authentication.state === 'failed';
    const hadFailed = hasFailed();
    if (command.fabricsType === FabricsType.AUTHENTICATION_SEND) {
      authentication.receive(command.data!);
      if (!hadFailed && hasFailed()) target.authenticationFailureCount++;
      complete(command, { status: NvmeStatus.SUCCESS });
      return;
    }
    const message = authentication.take(command.sglBytes);
    if (message) {
      const data = Buffer.alloc(command.sglBytes);
      data.set(message);
      complete(command, { status: NvmeStatus.SUCCESS, data });
    } else complete(command, { status: NvmeStatus.INVALID_FIELD });
    if (!hasFailed()) return;
    if (!hadFailed) target.authenticationFailureCount++;
    queue.close('the host did not authenticate');
  }

  #connect(command: CommandSlot): void {
    const connect = readConnect(command, command.data!);
    const { subsystemNqn, hostNqn, queueId, entriesZeroBased } = connect;
    if (connect.recordFormat !== 0) {
      const status = NvmeStatus.CONNECT_INCOMPATIBLE_FORMAT;
      this.#refuse(command, { status, result: ConnectField.RECFMT });
    } else if (entriesZeroBased === 0 || entriesZeroBased > nvmeQueueEntriesMax) {
      this.#refuse(command, invalid(ConnectField.SQSIZE));
    } else if (hostNqn === undefined) this.#refuse(command, invalid(ConnectField.HOSTNQN));
    else if (subsystemNqn === undefined) this.#refuse(command, invalid(ConnectField.SUBNQN));
    else if (this.#dependencies.target.isElsewhere(subsystemNqn)) {
      this.#dependencies.elsewhere(command, subsystemNqn);
    } else {
      const host: NvmeHost = { nqn: hostNqn, id: connect.hostId };
      if (queueId === 0) this.#connectAdmin(command, connect, { host, subsystemNqn });
      else this.#connectIo(command, connect, { host, subsystemNqn });
    }
  }

  #connectAdmin(
    command: CommandSlot,
    connect: ConnectCommand,
    names: { readonly host: NvmeHost; readonly subsystemNqn: string },
  ): void {
    if (connect.controllerId !== dynamicControllerId) {
      this.#refuse(command, invalid(ConnectField.CNTLID));
      return;
    }
    this.#isConnecting = true;
    const { keepAliveMs } = connect;
    const request = { ...names, keepAliveMs, localAddress: this.#localAddress };
    this.#dependencies.target.connect(request, (outcome) => {
      this.#isConnecting = false;
      const isRefused = 'status' in outcome;
      if (isRefused) this.#refuse(command, outcome);
      else if (this.#dependencies.queue.isOpen) this.#bind(command, connect, outcome);
      else {
        outcome.end('its admin queue is gone');
        this.#dependencies.complete(command, busy);
      }
    });
  }

  #connectIo(
    command: CommandSlot,
    connect: ConnectCommand,
    names: { readonly host: NvmeHost; readonly subsystemNqn: string },
  ): void {
    const { controllerId, queueId } = connect;
    const { target } = this.#dependencies;
    const controller = target.find(controllerId, names.subsystemNqn, names.host);
    if (!controller) this.#refuse(command, invalid(ConnectField.CNTLID));
    else if (controller.identity.isDiscovery) this.#refuse(command, invalid(ConnectField.QID));
    else if (!controller.properties.isReady) this.#refuse(command, outOfSequence());
    else if (queueId > controller.ioQueuesGranted) {
      this.#refuse(command, invalid(ConnectField.QID));
    } else if (controller.hasQueue(queueId)) this.#refuse(command, outOfSequence());
    else this.#bind(command, connect, controller);
  }

  #bind(command: CommandSlot, connect: ConnectCommand, controller: NvmeController): void {
    const { queueId, entriesZeroBased } = connect;
    const secrets = controller.attachment?.secrets;
    this.#controller = controller;
    this.#queueId = queueId;
    if (secrets) {
      this.#authentication = new DhchapController({
        hostNqn: controller.host.nqn,
        subsystemNqn: controller.identity.subsystemNqn,
        hostSecret: secrets.host,
        controllerSecret: secrets.controller,
        hashes: secrets.hashes,
        groups: secrets.groups,
      });
    }
    controller.addQueue(queueId, this.#dependencies.queue);
    this.#dependencies.connected(entriesZeroBased + 1, connect);
    this.#dependencies.complete(command, {
      status: NvmeStatus.SUCCESS,
      result: controller.identity.controllerId | (secrets ? authenticationRequired : 0),
    });
  }

  #refuse(command: CommandSlot, { status, result }: ConnectRefusal): void {
    this.#dependencies.complete(command, { status, result });
  }
}

/** Commands that a queue may have under way: its entries, and event requests beside those of the admin queue. */
export function slotCount(queueId: number, entries: number): number {
  return queueId === 0 ? entries + nvmeEventRequestsMax : entries;
}

function isAuthentication({ fabricsType }: CommandSlot): boolean {
  return (
    fabricsType === FabricsType.AUTHENTICATION_SEND ||
    fabricsType === FabricsType.AUTHENTICATION_RECEIVE
  );
}

/** SPSP0, SPSP1 and SECP name DH-HMAC-CHAP; the lengths agree. */
function judgeAuthentication(command: CommandSlot): NvmeStatusValue {
  const { sglBytes } = command;
  const isOurs = command.dword10 >>> 8 === securityProtocol && command.dword11 === sglBytes;
  const isInBounds = sglBytes > 0 && sglBytes <= nvmeAuthenticationBytesMax;
  return isOurs && isInBounds ? NvmeStatus.SUCCESS : NvmeStatus.INVALID_FIELD;
}

function invalid(result: number): ConnectRefusal {
  return { status: NvmeStatus.CONNECT_INVALID_PARAMETERS, result };
}

function outOfSequence(): ConnectRefusal {
  return { status: NvmeStatus.COMMAND_SEQUENCE_ERROR, result: 0 };
}
