/** PDUs of a host, as bytes; for tests, fuzzing and benchmarks. Written from the specification, not from the target. */
import { crc32c } from '@node-rs/crc32';

/** Which digests were agreed. */
export interface HostDigests {
  readonly header: boolean;
  readonly data: boolean;
}

/** No digests. */
export const noDigests: HostDigests = { header: false, data: false };

/** A submission queue entry; what is not given is zero. */
export interface HostCommand {
  readonly opcode: number;
  readonly commandId: number;
  /** Namespace, or the type of a fabrics command. */
  readonly nsid?: number;
  /** FUSE and PSDT; SGLs unless said otherwise. */
  readonly flags?: number;
  /** Type byte of SGL1: 0x5a unless data comes in the capsule. */
  readonly sglType?: number;
  /** Length of SGL1: that of the data in the capsule unless said otherwise. */
  readonly sglBytes?: number;
  /** Address of SGL1, low half. */
  readonly sglAddress?: number;
  readonly dword10?: number;
  readonly dword11?: number;
  readonly dword12?: number;
  readonly dword13?: number;
  readonly dword14?: number;
  /** Goes into the capsule. */
  readonly data?: Uint8Array;
}

/** An ICReq. */
export function encodeIcReq(digests: HostDigests = noDigests): Buffer {
  const bytes = Buffer.alloc(128);
  bytes[2] = 128;
  bytes.writeUInt32LE(128, 4);
  bytes[11] = (digests.header ? 1 : 0) | (digests.data ? 2 : 0);
  return bytes;
}

/** A command capsule. */
export function encodeCapsule(command: HostCommand, digests: HostDigests = noDigests): Buffer {
  const { data } = command;
  const header = Buffer.alloc(72);
  header[8] = command.opcode;
  header[9] = command.flags ?? 0x40;
  header.writeUInt16LE(command.commandId, 10);
  header.writeUInt32LE(command.nsid ?? 0, 12);
  header.writeUInt32LE(command.sglAddress ?? 0, 32);
  header.writeUInt32LE(command.sglBytes ?? data?.length ?? 0, 40);
  header[47] = command.sglType ?? (data ? 0x01 : 0x5a);
  header.writeUInt32LE(command.dword10 ?? 0, 48);
  header.writeUInt32LE(command.dword11 ?? 0, 52);
  header.writeUInt32LE(command.dword12 ?? 0, 56);
  header.writeUInt32LE(command.dword13 ?? 0, 60);
  header.writeUInt32LE(command.dword14 ?? 0, 64);
  return finishPdu(0x04, header, { digests, data });
}

/** Data that an R2T asked for. */
export function encodeH2cData(
  fields: {
    readonly commandId: number;
    readonly transferTag: number;
    readonly offsetBytes: number;
    readonly data: Uint8Array;
    readonly isLast: boolean;
  },
  digests: HostDigests = noDigests,
): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt16LE(fields.commandId, 8);
  header.writeUInt16LE(fields.transferTag, 10);
  header.writeUInt32LE(fields.offsetBytes, 12);
  header.writeUInt32LE(fields.data.length, 16);
  const flags = fields.isLast ? 0x04 : 0;
  return finishPdu(0x06, header, { digests, data: fields.data, flags });
}

/** What a Connect says. */
export interface HostConnect {
  readonly commandId: number;
  readonly queueId: number;
  readonly entries: number;
  readonly controllerId: number;
  readonly subsystemNqn: string;
  readonly hostNqn: string;
  readonly hostId: Uint8Array;
  readonly keepAliveMs: number;
  readonly hasNoSqFlow?: boolean;
}

/** A Connect command with its data. */
export function connectCommand(connect: HostConnect): HostCommand {
  const data = Buffer.alloc(1024);
  data.set(connect.hostId, 0);
  data.writeUInt16LE(connect.controllerId, 16);
  data.write(connect.subsystemNqn, 256);
  data.write(connect.hostNqn, 512);
  return {
    opcode: 0x7f,
    nsid: 0x01,
    commandId: connect.commandId,
    dword10: connect.queueId * 0x1_0000,
    dword11: (connect.entries - 1) | (connect.hasNoSqFlow === true ? 0x4_0000 : 0),
    dword12: connect.keepAliveMs,
    data,
  };
}

/** Sets type, flags and lengths, and adds data and digests. */
function finishPdu(
  type: number,
  header: Buffer,
  body: {
    readonly digests: HostDigests;
    readonly data?: Uint8Array | undefined;
    readonly flags?: number;
  },
): Buffer {
  const { digests, data = new Uint8Array(0), flags = 0 } = body;
  const hasData = data.length > 0;
  const headBytes = header.length + (digests.header ? 4 : 0);
  const tailBytes = hasData && digests.data ? 4 : 0;
  header[0] = type;
  header[1] = flags | (digests.header ? 1 : 0) | (tailBytes > 0 ? 2 : 0);
  header[2] = header.length;
  header[3] = hasData ? headBytes : 0;
  const bytes = Buffer.alloc(headBytes + data.length + tailBytes);
  header.writeUInt32LE(bytes.length, 4);
  bytes.set(header);
  if (digests.header) bytes.writeUInt32LE(crc32c(header), header.length);
  bytes.set(data, headBytes);
  if (tailBytes > 0) bytes.writeUInt32LE(crc32c(data), bytes.length - 4);
  return bytes;
}
