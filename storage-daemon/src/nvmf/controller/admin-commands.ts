/**
 * Admin commands (NVMe Base 2.0, section 5). They are few and rare, so each answer is an object; commands of other
 * specifications, and those that our identify data does not offer, are invalid.
 */
import { nvmeEventRequestsMax, nvmeTransferBytesMax } from '../../limits.ts';
import { NvmeStatus, type NvmeStatusValue } from '../nvme-status.ts';
import type { CommandSlot } from '../queue/command-slot.ts';
import { AdminOpcode, broadcastNsid, volumeNsid } from '../wire-constants.ts';
import { AsyncEvent } from './async-events.ts';
import type { CommandReply } from './command-reply.ts';
import { discoveryLog } from './discovery-log.ts';
import { getFeature, setFeature } from './features.ts';
import {
  identifyBytes,
  identifyController,
  identifyDescriptors,
  identifyNamespace,
  identifyNamespaceList,
  identifyNvmController,
} from './identify.ts';
import {
  changedNamespaceLog,
  cutLog,
  errorLog,
  firmwareLog,
  LogPage,
  smartLog,
} from './log-pages.ts';
import type { NvmeController } from './nvme-controller.ts';

const success: CommandReply = { status: NvmeStatus.SUCCESS };
const invalidField: CommandReply = { status: NvmeStatus.INVALID_FIELD };
const invalidNamespace: CommandReply = { status: NvmeStatus.INVALID_NAMESPACE };
const wrongLength: CommandReply = { status: NvmeStatus.DATA_SGL_LENGTH_INVALID };

const known: ReadonlySet<number> = new Set(Object.values(AdminOpcode));

/** Status of a command that must not run; judged before its data is asked for. */
export function judgeAdmin(command: CommandSlot, isReady: boolean): NvmeStatusValue {
  const { opcode } = command;
  if (!known.has(opcode)) return NvmeStatus.INVALID_OPCODE;
  // Hosts start keep-alive before they see RDY.
  if (!isReady && opcode !== AdminOpcode.KEEP_ALIVE) return NvmeStatus.COMMAND_SEQUENCE_ERROR;
  // None of the features that can be set takes data.
  if (command.hasHostData) return NvmeStatus.INVALID_FIELD;
  return NvmeStatus.SUCCESS;
}

/** Runs a command; undefined leaves it waiting, as an asynchronous event request. */
export function runAdmin(
  command: CommandSlot,
  controller: NvmeController,
): CommandReply | undefined {
  switch (command.opcode) {
    case AdminOpcode.IDENTIFY:
      return identify(command, controller);
    case AdminOpcode.GET_LOG_PAGE:
      return getLogPage(command, controller);
    case AdminOpcode.SET_FEATURES:
      return setFeature(command, controller);
    case AdminOpcode.GET_FEATURES:
      return getFeature(command, controller);
    case AdminOpcode.ASYNC_EVENT_REQUEST:
      if (controller.events.requestCount >= nvmeEventRequestsMax) {
        return { status: NvmeStatus.AER_LIMIT_EXCEEDED };
      }
      controller.events.addRequest(command);
      return undefined;
    case AdminOpcode.ABORT:
      // "Not aborted": the command completes by itself.
      return { status: NvmeStatus.SUCCESS, result: 1 };
    case AdminOpcode.KEEP_ALIVE:
      if (controller.keepAliveMs === 0) return { status: NvmeStatus.KEEP_ALIVE_TIMEOUT_INVALID };
      return success;
    default:
      return { status: NvmeStatus.INVALID_OPCODE };
  }
}

function identify(command: CommandSlot, controller: NvmeController): CommandReply {
  if (command.sglBytes < identifyBytes || command.sglBytes > nvmeTransferBytesMax) {
    return wrongLength;
  }
  const found = identifyData(command, controller);
  if (!Buffer.isBuffer(found)) return found;
  return { status: NvmeStatus.SUCCESS, data: cutLog(found, 0, command.sglBytes) };
}

function identifyData(command: CommandSlot, controller: NvmeController): Buffer | CommandReply {
  const cns = command.dword10 & 0xff;
  const csi = command.dword11 >>> 24;
  if (cns === 0x01) return identifyController(controller.identity);
  const { attachment } = controller;
  if (!attachment) return invalidField;
  const { namespaceId } = command;
  switch (cns) {
    case 0x00:
    case 0x03: {
      if (namespaceId !== volumeNsid) return invalidNamespace;
      const { uuid, volume } = attachment;
      if (cns === 0x03) return identifyDescriptors(uuid);
      return identifyNamespace(volume.sizeBytes, volume.isReadOnly, uuid);
    }
    case 0x02:
      if (namespaceId >= broadcastNsid - 1) return invalidNamespace;
      return identifyNamespaceList(namespaceId);
    case 0x06:
      return csi === 0 ? identifyNvmController() : invalidField;
    default:
      return invalidField;
  }
}

function getLogPage(command: CommandSlot, controller: NvmeController): CommandReply {
  const dwords = (command.dword11 & 0xffff) * 0x1_0000 + (command.dword10 >>> 16) + 1;
  const lengthBytes = dwords * 4;
  if (lengthBytes > nvmeTransferBytesMax) return invalidField;
  if (lengthBytes !== command.sglBytes) return wrongLength;
  const offsetBytes = command.dword13 * 2 ** 32 + command.dword12;
  if (offsetBytes % 4 !== 0) return invalidField;
  const page = readLogPage(command, controller);
  if (!page || offsetBytes > page.length) return invalidField;
  return { status: NvmeStatus.SUCCESS, data: cutLog(page, offsetBytes, lengthBytes) };
}

function readLogPage(command: CommandSlot, controller: NvmeController): Buffer | undefined {
  const { attachment, identity, events } = controller;
  const retainsEvent = (command.dword10 & 0x8000) !== 0;
  switch (command.dword10 & 0xff) {
    case LogPage.ERROR:
      return errorLog();
    case LogPage.SMART:
      return smartLog();
    case LogPage.FIRMWARE:
      return firmwareLog(identity.firmwareRevision);
    case LogPage.CHANGED_NAMESPACES: {
      if (!attachment) return undefined;
      const page = changedNamespaceLog(controller.hasNamespaceChanged);
      if (!retainsEvent) {
        controller.hasNamespaceChanged = false;
        events.logRead(AsyncEvent.NAMESPACE_CHANGED);
      }
      return page;
    }
    case LogPage.DISCOVERY:
      if (attachment) return undefined;
      if (!retainsEvent) events.logRead(AsyncEvent.DISCOVERY_CHANGED);
      return discoveryLog(controller.visibleSubsystems(), controller.localAddress);
    default:
      return undefined;
  }
}
