/**
 * How a command says where its data is (TCP Transport, section 3.5.1.4; Base, section 4.1.2): in the capsule, or by
 * transfers. A capsule that contradicts itself ends the connection; anything else gets a status.
 */
import { NvmeStatus, type NvmeStatusValue } from '../nvme-status.ts';
import { badField } from '../pdu/check-header.ts';
import type { PduViolation } from '../pdu/pdu-violation.ts';
import { DataDirection, FatalError, SglType } from '../wire-constants.ts';
import type { CommandSlot } from './command-slot.ts';

/** FUSE 0, PSDT 01b: SGLs, not fused. */
const normalFlags = 0x40;
/** Of SGL1 in the capsule. */
const sglOffset = 32;

/** Judges the form of a command; `capsuleBytes` of data come with it. */
export function judgeCapsule(
  command: CommandSlot,
  capsuleBytes: number,
): NvmeStatusValue | PduViolation {
  const { sglType, sglBytes } = command;
  if (sglType === SglType.IN_CAPSULE) {
    if (!command.isSglAddressZero) {
      return capsuleBytes > 0 ? unsupportedSgl() : NvmeStatus.SGL_OFFSET_INVALID;
    }
    if (sglBytes !== capsuleBytes) {
      return badField(4, `${capsuleBytes} bytes in a capsule that announces ${sglBytes}`);
    }
  } else if (sglType === SglType.TRANSPORT) {
    if (capsuleBytes > 0) return badField(4, `${capsuleBytes} bytes in a capsule without data`);
  } else return capsuleBytes > 0 ? unsupportedSgl() : NvmeStatus.SGL_DESCRIPTOR_TYPE_INVALID;
  if (command.flags !== normalFlags) return NvmeStatus.INVALID_FIELD;
  const isRead = command.direction === DataDirection.CONTROLLER_TO_HOST;
  if (isRead && sglType === SglType.IN_CAPSULE && sglBytes > 0) {
    return NvmeStatus.SGL_DESCRIPTOR_TYPE_INVALID;
  }
  return NvmeStatus.SUCCESS;
}

function unsupportedSgl(): PduViolation {
  const message = 'data in a capsule whose SGL does not say so';
  return { fatalError: FatalError.UNSUPPORTED_PARAMETER, information: sglOffset, message };
}
