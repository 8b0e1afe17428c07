/** Get and Set Features (NVMe Base 2.0, section 5.27): the few that fabrics hosts use; others are invalid. */
import { nvmeIoQueuesMax } from '../../limits.ts';
import { NvmeStatus } from '../nvme-status.ts';
import type { CommandSlot } from '../queue/command-slot.ts';
import type { CommandReply } from './command-reply.ts';
import type { NvmeController } from './nvme-controller.ts';

/** Feature identifiers. */
const Feature = {
  VOLATILE_WRITE_CACHE: 0x06,
  NUMBER_OF_QUEUES: 0x07,
  ASYNC_EVENT_CONFIGURATION: 0x0b,
  KEEP_ALIVE_TIMER: 0x0f,
  HOST_IDENTIFIER: 0x81,
} as const;

const invalidField: CommandReply = { status: NvmeStatus.INVALID_FIELD };
const outOfSequence: CommandReply = { status: NvmeStatus.COMMAND_SEQUENCE_ERROR };

/** Critical warnings of health, which never come, and all notices that Linux enables. */
const knownEventBits = 0x8000_0b1f;

/** Granularity of the keep-alive timer: KAS 10. */
const keepAliveUnitMs = 1000;

/** Rounds a timeout up to what the controller keeps. */
export function roundKeepAlive(timeoutMs: number): number {
  return Math.ceil(timeoutMs / keepAliveUnitMs) * keepAliveUnitMs;
}

/** Set Features. */
export function setFeature(command: CommandSlot, controller: NvmeController): CommandReply {
  const value = command.dword11;
  // SV: nothing is saved over a controller's life.
  if (command.dword10 >>> 31 === 1) return invalidField;
  switch (command.dword10 & 0xff) {
    case Feature.NUMBER_OF_QUEUES: {
      if (!controller.attachment) return invalidField;
      const submission = value & 0xffff;
      const completion = value >>> 16;
      if (submission === 0xffff || completion === 0xffff) return invalidField;
      if (controller.ioQueueCount > 0) return outOfSequence;
      const wanted = Math.min(submission, completion) + 1;
      controller.ioQueuesGranted = Math.min(wanted, nvmeIoQueuesMax);
      return success(queuesResult(controller));
    }
    case Feature.ASYNC_EVENT_CONFIGURATION:
      if ((value & ~knownEventBits) !== 0) return invalidField;
      controller.events.enabledBits = value;
      return success(value);
    case Feature.KEEP_ALIVE_TIMER:
      controller.keepAliveMs = roundKeepAlive(value);
      return success(controller.keepAliveMs);
    case Feature.HOST_IDENTIFIER:
      // On fabrics it comes with Connect.
      return outOfSequence;
    default:
      return invalidField;
  }
}

/** Get Features: current values; there are no others. */
export function getFeature(command: CommandSlot, controller: NvmeController): CommandReply {
  const isIo = controller.attachment !== undefined;
  switch (command.dword10 & 0xff) {
    case Feature.VOLATILE_WRITE_CACHE:
      return isIo ? success(1) : invalidField;
    case Feature.NUMBER_OF_QUEUES:
      return isIo ? success(queuesResult(controller)) : invalidField;
    case Feature.ASYNC_EVENT_CONFIGURATION:
      return success(controller.events.enabledBits);
    case Feature.KEEP_ALIVE_TIMER:
      return success(controller.keepAliveMs);
    case Feature.HOST_IDENTIFIER: {
      const data = Buffer.from(controller.host.id, 'hex');
      // Only the 128-bit form exists on fabrics.
      if ((command.dword11 & 1) === 0) return invalidField;
      if (command.sglBytes !== data.length) return { status: NvmeStatus.DATA_SGL_LENGTH_INVALID };
      return { status: NvmeStatus.SUCCESS, data };
    }
    default:
      return invalidField;
  }
}

function queuesResult({ ioQueuesGranted }: NvmeController): number {
  const zeroBased = Math.max(ioQueuesGranted, 1) - 1;
  return zeroBased | (zeroBased << 16);
}

function success(result: number): CommandReply {
  return { status: NvmeStatus.SUCCESS, result: result >>> 0 };
}
