/** Opens an export: fixed newstyle negotiation with NBD_OPT_GO (NBD protocol, "Newstyle negotiation"). */
import type { Socket } from 'node:net';
import {
  NbdHandshakeFlag,
  NbdInfo,
  NbdMagic,
  NbdOption,
  NbdOptionReply,
} from '@varve/storage-daemon/nbd/wire-constants';
import type { ByteStream } from './byte-stream.ts';

/** What the server says of the export. */
export interface ExportFacts {
  readonly sizeBytes: number;
  readonly transmissionFlags: number;
}

/** Replies to one option are few; more than this is no NBD server. */
const optionRepliesMax = 16;
const optionReplyBytesMax = 64 * 1024;

/** Negotiates the export. Rejects with the server's own words if it refuses. */
export async function negotiateExport(
  socket: Socket,
  stream: ByteStream,
  exportName: string,
): Promise<ExportFacts> {
  const greeting = await stream.take(18);
  const isNewstyle =
    greeting.readUInt32BE(0) === NbdMagic.INIT_HIGH &&
    greeting.readUInt32BE(4) === NbdMagic.INIT_LOW &&
    greeting.readUInt32BE(8) === NbdMagic.OPTION_HIGH &&
    greeting.readUInt32BE(12) === NbdMagic.OPTION_LOW;
  if (!isNewstyle) throw new Error('the server does not speak NBD');
  const flags = Buffer.alloc(4);
  flags.writeUInt32BE(NbdHandshakeFlag.FIXED_NEWSTYLE | NbdHandshakeFlag.NO_ZEROES);
  socket.write(Buffer.concat([flags, goOption(exportName)]));
  return readGoReplies(stream, exportName);
}

function goOption(exportName: string): Buffer {
  const name = Buffer.from(exportName);
  const option = Buffer.alloc(16 + 4 + name.length + 2);
  option.writeUInt32BE(NbdMagic.OPTION_HIGH, 0);
  option.writeUInt32BE(NbdMagic.OPTION_LOW, 4);
  option.writeUInt32BE(NbdOption.GO, 8);
  option.writeUInt32BE(4 + name.length + 2, 12);
  option.writeUInt32BE(name.length, 16);
  name.copy(option, 20);
  return option;
}

async function readGoReplies(stream: ByteStream, exportName: string): Promise<ExportFacts> {
  let facts: ExportFacts | undefined;
  for (let count = 0; count < optionRepliesMax; count++) {
    const head = await stream.take(20);
    const type = head.readUInt32BE(12);
    const lengthBytes = head.readUInt32BE(16);
    if (lengthBytes > optionReplyBytesMax) break;
    const payload = await stream.take(lengthBytes);
    if (type === NbdOptionReply.ACK) {
      if (facts === undefined) break;
      return facts;
    }
    if (type === NbdOptionReply.INFO && payload.readUInt16BE(0) === NbdInfo.EXPORT) {
      facts = {
        sizeBytes: Number(payload.readBigUInt64BE(2)),
        transmissionFlags: payload.readUInt16BE(10),
      };
    } else if (type >= 0x80000000) {
      const why = payload.toString() || `option error 0x${type.toString(16)}`;
      throw new Error(`Cannot open the NBD export "${exportName}": ${why}`);
    }
  }
  throw new Error(`Cannot open the NBD export "${exportName}": the server's replies make no sense`);
}
