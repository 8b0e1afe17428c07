/**
 * The Connect command (NVMe over Fabrics 1.1, section 3.3): its dwords, and its 1024 bytes of data.
 *
 *   OFFSET SIZE FIELD
 *   0      16   HOSTID
 *   16     2    CNTLID   0xffff asks for a new controller
 *   256    256  SUBNQN   NUL-terminated
 *   512    256  HOSTNQN  NUL-terminated
 */
import type { CommandSlot } from './command-slot.ts';

/** DW0 of "invalid parameters": the offset of the bad field, and whether it is in the data. */
export const ConnectField = {
  RECFMT: 40,
  QID: 42,
  SQSIZE: 44,
  CNTLID: 16 | 0x1_0000,
  SUBNQN: 256 | 0x1_0000,
  HOSTNQN: 512 | 0x1_0000,
} as const;

/** Bytes of data that every Connect brings. */
export const connectDataBytes = 1024;
/** "Give me a controller." */
export const dynamicControllerId = 0xffff;

const nqnFieldBytes = 256;
/** The longest NQN (Base, section 4.5). */
const nqnBytesMax = 223;
const disableSqFlow = 0x04;

/** A Connect, as far as it could be understood. */
export interface ConnectCommand {
  readonly recordFormat: number;
  readonly queueId: number;
  /** SQSIZE: entries less one. */
  readonly entriesZeroBased: number;
  readonly hasNoSqFlow: boolean;
  readonly keepAliveMs: number;
  readonly controllerId: number;
  /** HOSTID in hexadecimal. */
  readonly hostId: string;
  /** Undefined if it is no text that ends. */
  readonly subsystemNqn: string | undefined;
  readonly hostNqn: string | undefined;
}

/** Reads a Connect and its data. */
export function readConnect(command: CommandSlot, data: Buffer): ConnectCommand {
  return {
    recordFormat: command.dword10 & 0xffff,
    queueId: command.dword10 >>> 16,
    entriesZeroBased: command.dword11 & 0xffff,
    hasNoSqFlow: ((command.dword11 >>> 16) & disableSqFlow) !== 0,
    keepAliveMs: command.dword12,
    controllerId: data.readUInt16LE(16),
    hostId: data.toString('hex', 0, 16),
    subsystemNqn: readNqn(data, 256),
    hostNqn: readNqn(data, 512),
  };
}

function readNqn(data: Buffer, at: number): string | undefined {
  const field = data.subarray(at, at + nqnFieldBytes);
  const lengthBytes = field.indexOf(0);
  if (lengthBytes <= 0 || lengthBytes > nqnBytesMax) return undefined;
  const name = field.subarray(0, lengthBytes);
  const text = name.toString('utf8');
  // Names are compared byte by byte, so bytes that are no text are nobody's name.
  return Buffer.from(text, 'utf8').equals(name) ? text : undefined;
}
