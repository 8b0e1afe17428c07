/**
 * The discovery log page (NVMe over Fabrics 1.1, section 5.4): the subsystems that a host may attach, at the address
 * by which it reached us.
 *
 * GENCTR is the digest of the entries: it changes when they do, and stays when they do not, so that a host may read
 * the page in pieces.
 */
import { crc32c } from '../pdu/crc32c.ts';
import type { NvmeTransportAddress } from '../ports.ts';

const entryBytes = 1024;
const headerBytes = 1024;
const tcpTransport = 3;
const nvmSubsystem = 2;
/** Secure channel not required; SQ flow control may be disabled. */
const treq = 0x02 | 0x04;
const dynamicController = 0xffff;
const adminQueueEntries = 32;

/** The page as it is now. */
export function discoveryLog(
  subsystemNqns: readonly string[],
  { family, address, port }: NvmeTransportAddress,
): Buffer {
  const bytes = Buffer.alloc(headerBytes + entryBytes * subsystemNqns.length);
  subsystemNqns.forEach((nqn, index) => {
    const at = headerBytes + index * entryBytes;
    bytes[at] = tcpTransport;
    bytes[at + 1] = family === 4 ? 1 : 2;
    bytes[at + 2] = nvmSubsystem;
    bytes[at + 3] = treq;
    bytes.writeUInt16LE(1, at + 4);
    bytes.writeUInt16LE(dynamicController, at + 6);
    bytes.writeUInt16LE(adminQueueEntries, at + 8);
    bytes.write(String(port).padEnd(32), at + 32, 'latin1');
    bytes.write(nqn, at + 256, 255, 'utf8');
    bytes.write(address.padEnd(256), at + 512, 'latin1');
  });
  bytes.writeUInt32LE(crc32c(bytes.subarray(headerBytes)), 0);
  bytes.writeUInt32LE(subsystemNqns.length, 8);
  return bytes;
}
