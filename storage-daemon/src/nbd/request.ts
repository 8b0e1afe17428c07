/** The head of a request (proto, Request message), and which requests are refused before anything is done. */
import { nbdPayloadBytesMax } from '../limits.ts';
import type { NbdAgreement } from './negotiation.ts';
import {
  NbdCommand,
  NbdCommandFlag,
  NbdError,
  type NbdErrorValue,
  NbdMagic,
} from './wire-constants.ts';

/** Bytes of a request before its payload. */
export const requestHeadBytes = 28;

/** The cookie that a reply must bring back: 8 opaque bytes, as two halves. */
export interface NbdCookie {
  readonly cookieHigh: number;
  readonly cookieLow: number;
}

/** The head of a request. */
export interface NbdRequest extends NbdCookie {
  readonly flags: number;
  readonly command: number;
  /** Infinity if it is beyond what any export can have. */
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** An object that takes the heads of one request after the other. */
export type NbdRequestFields = { -readonly [Name in keyof NbdRequest]: NbdRequest[Name] };

/** Reads the head at `at`; false if its magic is wrong: nothing that follows can be trusted. */
export function decodeRequest(bytes: Buffer, at: number, request: NbdRequestFields): boolean {
  if (bytes.readUInt32BE(at) !== NbdMagic.REQUEST) return false;
  const offsetHigh = bytes.readUInt32BE(at + 16);
  request.flags = bytes.readUInt16BE(at + 4);
  request.command = bytes.readUInt16BE(at + 6);
  request.cookieHigh = bytes.readUInt32BE(at + 8);
  request.cookieLow = bytes.readUInt32BE(at + 12);
  // Below 2^53 a sum of both halves is exact.
  request.offsetBytes =
    offsetHigh < 2 ** 21 ? offsetHigh * 2 ** 32 + bytes.readUInt32BE(at + 20) : Infinity;
  request.lengthBytes = bytes.readUInt32BE(at + 24);
  return true;
}

/** Only a WRITE brings bytes with it, whatever else is wrong with it. */
export function payloadBytes(request: NbdRequest): number {
  return request.command === NbdCommand.WRITE ? request.lengthBytes : 0;
}

/** Why a request is refused. */
export interface RequestRefusal {
  readonly error: NbdErrorValue;
  readonly message: string;
}

/**
 * Flags that each known command may carry besides FUA, which any may (proto, Command flags). A command that is
 * missing here is refused: CACHE and RESIZE are not offered.
 */
const extraFlags = new Map<number, number>([
  [NbdCommand.READ, NbdCommandFlag.DF],
  [NbdCommand.WRITE, 0],
  [NbdCommand.DISC, 0],
  [NbdCommand.FLUSH, 0],
  [NbdCommand.TRIM, 0],
  [NbdCommand.WRITE_ZEROES, NbdCommandFlag.NO_HOLE | NbdCommandFlag.FAST_ZERO],
  [NbdCommand.BLOCK_STATUS, NbdCommandFlag.REQ_ONE],
]);

/** Judges a request by its head alone. Bounds against the size are the volume's to check. */
export function refuseRequest(
  request: NbdRequest,
  agreement: NbdAgreement,
): RequestRefusal | undefined {
  const { command, flags, offsetBytes, lengthBytes } = request;
  const allowedFlags = extraFlags.get(command);
  if (allowedFlags === undefined) return invalid(`command ${command} is not supported`);
  if ((flags & ~(allowedFlags | NbdCommandFlag.FUA)) !== 0) {
    return invalid(`flags 0x${flags.toString(16)} do not go with command ${command}`);
  }
  const isChange =
    command === NbdCommand.WRITE ||
    command === NbdCommand.TRIM ||
    command === NbdCommand.WRITE_ZEROES;
  if (isChange && agreement.isReadOnly) {
    return { error: NbdError.EPERM, message: 'the export is read-only' };
  }
  const isTransfer = command === NbdCommand.READ || command === NbdCommand.WRITE;
  if (isTransfer && lengthBytes > nbdPayloadBytesMax) {
    return invalid(`${lengthBytes} bytes; at most ${nbdPayloadBytesMax} are allowed`);
  }
  if (offsetBytes === Infinity) {
    const isExtension = command === NbdCommand.WRITE || command === NbdCommand.WRITE_ZEROES;
    const error = isExtension ? NbdError.ENOSPC : NbdError.EINVAL;
    return { error, message: 'the offset is beyond the export' };
  }
  return refuseByCommand(request, agreement);
}

function refuseByCommand(
  { command, flags, offsetBytes, lengthBytes }: NbdRequest,
  agreement: NbdAgreement,
): RequestRefusal | undefined {
  switch (command) {
    case NbdCommand.READ:
      if ((flags & NbdCommandFlag.DF) !== 0 && !agreement.hasStructuredReplies) {
        return invalid('DF needs structured replies');
      }
      return undefined;
    case NbdCommand.FLUSH:
      return offsetBytes + lengthBytes > 0 ? invalid('a flush has no range') : undefined;
    case NbdCommand.WRITE_ZEROES:
      // Zeros that stay allocated must be written out, which is no faster than a WRITE.
      if ((flags & NbdCommandFlag.FAST_ZERO) !== 0 && (flags & NbdCommandFlag.NO_HOLE) !== 0) {
        return { error: NbdError.ENOTSUP, message: 'zeros without holes are not fast' };
      }
      return undefined;
    case NbdCommand.BLOCK_STATUS:
      if (!agreement.hasAllocationContext) return invalid('no metadata context was selected');
      return lengthBytes === 0 ? invalid('a status of no bytes') : undefined;
    default:
      return undefined;
  }
}

function invalid(message: string): RequestRefusal {
  return { error: NbdError.EINVAL, message };
}
