/** The shortest possible NBD client: opens an export and reads its first block. For times from start to first I/O. */
import { connect } from 'node:net';

const blockBytes = 4096;
const greetingBytes = 18;
/** The export's size and flags, if the client wants no padding behind them. */
const exportBytes = 10;
const replyHeadBytes = 16;
const fixedNewstyleWithoutZeroes = 3;
const exportNameOption = 1;
const requestMagic = 0x25609513;
const simpleReplyMagic = 0x67446698;

/** Reads the first block of the export of a URI `nbd://host:port/name`; rejects if it cannot. */
export async function readFirstBlock(uri: string): Promise<void> {
  const { hostname, port, pathname } = new URL(uri);
  const socket = connect(Number(port), hostname);
  const chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let received = Buffer.alloc(0);
  const read = async (count: number): Promise<Buffer> => {
    while (received.length < count) {
      const { done, value } = await chunks.next();
      if (done === true) throw new Error(`Reading from ${uri} failed: the server hung up`);
      received = Buffer.concat([received, value]);
    }
    const bytes = received.subarray(0, count);
    received = received.subarray(count);
    return bytes;
  };
  try {
    await read(greetingBytes);
    socket.write(chooseExport(decodeURIComponent(pathname.slice(1))));
    await read(exportBytes);
    socket.write(readRequest());
    const head = await read(replyHeadBytes);
    const error = head.readUInt32BE(4);
    if (head.readUInt32BE(0) !== simpleReplyMagic || error !== 0) {
      throw new Error(`Reading from ${uri} failed: error ${error}`);
    }
    await read(blockBytes);
  } finally {
    socket.destroy();
  }
}

/** Client flags, then the option whose answer ends the negotiation. */
function chooseExport(name: string): Buffer {
  const length = Buffer.byteLength(name);
  const bytes = Buffer.alloc(20 + length);
  bytes.writeUInt32BE(fixedNewstyleWithoutZeroes, 0);
  bytes.write('IHAVEOPT', 4, 'latin1');
  bytes.writeUInt32BE(exportNameOption, 12);
  bytes.writeUInt32BE(length, 16);
  bytes.write(name, 20);
  return bytes;
}

function readRequest(): Buffer {
  const bytes = Buffer.alloc(28);
  bytes.writeUInt32BE(requestMagic, 0);
  bytes.writeUInt32BE(blockBytes, 24);
  return bytes;
}
