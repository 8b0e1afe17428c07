/** Encodes replies to options (proto, Option reply). */
import { nbdStringBytesMax } from '../limits.ts';
import { NbdInfo, NbdMagic, NbdOptionReply } from './wire-constants.ts';

/** Head and data of one option reply. */
export function encodeOptionReply(option: number, reply: number, data: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(20 + data.length);
  bytes.writeUInt32BE(NbdMagic.OPTION_REPLY_HIGH, 0);
  bytes.writeUInt32BE(NbdMagic.OPTION_REPLY_LOW, 4);
  bytes.writeUInt32BE(option, 8);
  bytes.writeUInt32BE(reply, 12);
  bytes.writeUInt32BE(data.length, 16);
  bytes.set(data, 20);
  return bytes;
}

/** The reply that ends an option well. */
export function encodeAck(option: number): Buffer {
  return encodeOptionReply(option, NbdOptionReply.ACK, Buffer.alloc(0));
}

/** The reply that ends an option badly; the text is for the client's user. */
export function encodeOptionError(option: number, reply: number, message: string): Buffer {
  return encodeOptionReply(option, reply, Buffer.from(message).subarray(0, nbdStringBytesMax));
}

/** NBD_REP_SERVER: one export of a list. */
export function encodeServer(option: number, name: string, description: string): Buffer {
  const nameBytes = Buffer.from(name);
  const data = Buffer.concat([u32(nameBytes.length), nameBytes, Buffer.from(description)]);
  return encodeOptionReply(option, NbdOptionReply.SERVER, data);
}

/** NBD_REP_META_CONTEXT. */
export function encodeMetaContext(option: number, id: number, name: string): Buffer {
  const data = Buffer.concat([u32(id), Buffer.from(name)]);
  return encodeOptionReply(option, NbdOptionReply.META_CONTEXT, data);
}

/** NBD_INFO_EXPORT. */
export function encodeExportInfo(option: number, sizeBytes: number, flags: number): Buffer {
  const data = Buffer.alloc(12);
  data.writeUInt16BE(NbdInfo.EXPORT, 0);
  data.writeBigUInt64BE(BigInt(sizeBytes), 2);
  data.writeUInt16BE(flags, 10);
  return encodeOptionReply(option, NbdOptionReply.INFO, data);
}

/** NBD_INFO_NAME and NBD_INFO_DESCRIPTION. */
export function encodeTextInfo(option: number, type: number, text: string): Buffer {
  const data = Buffer.concat([u16(type), Buffer.from(text)]);
  return encodeOptionReply(option, NbdOptionReply.INFO, data);
}

/** NBD_INFO_BLOCK_SIZE. */
export function encodeBlockSizeInfo(
  option: number,
  sizes: { minimum: number; preferred: number; maximum: number },
): Buffer {
  const data = Buffer.alloc(14);
  data.writeUInt16BE(NbdInfo.BLOCK_SIZE, 0);
  data.writeUInt32BE(sizes.minimum, 2);
  data.writeUInt32BE(sizes.preferred, 6);
  data.writeUInt32BE(sizes.maximum, 10);
  return encodeOptionReply(option, NbdOptionReply.INFO, data);
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
