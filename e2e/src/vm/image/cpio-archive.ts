/**
 * Writes the archive that a Linux kernel unpacks as its first file system: cpio, "newc" format (Linux
 * documentation, "initramfs buffer format").
 *
 * Each entry is a header of 110 ASCII bytes ("070701" and 13 fields of 8 hexadecimal digits), the name with a
 * terminating zero, and the content; header with name, and content, are each padded to 4 bytes.
 */

/** An entry: a folder where there is no content. */
export interface CpioEntry {
  readonly path: string;
  readonly content?: Uint8Array;
  readonly isExecutable?: boolean;
}

const directoryMode = 0o040755;
const fileMode = 0o100644;
const executableMode = 0o100755;
const trailerName = 'TRAILER!!!';

/** The whole archive. Folders must come before what is in them. */
export function createCpioArchive(entries: readonly CpioEntry[]): Buffer {
  const parts = entries.flatMap((entry, index) => encodeEntry(entry, index + 1));
  return Buffer.concat([
    ...parts,
    ...encodeEntry({ path: trailerName, content: Buffer.alloc(0) }, 0),
  ]);
}

function encodeEntry(entry: CpioEntry, inode: number): readonly Uint8Array[] {
  const content = entry.content ?? Buffer.alloc(0);
  const name = Buffer.from(`${entry.path}\0`);
  const fields = [
    inode,
    modeOf(entry),
    0, // owner
    0, // group
    entry.content === undefined ? 2 : 1, // links
    0, // time of modification
    content.length,
    0, // device, major and minor
    0,
    0, // device that a special file stands for, major and minor
    0,
    name.length,
    0, // checksum, unused in this format
  ];
  const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`;
  const head = Buffer.concat([Buffer.from(header), name]);
  return [head, padding(head.length), content, padding(content.length)];
}

function modeOf(entry: CpioEntry): number {
  if (entry.path === trailerName) return 0;
  if (entry.content === undefined) return directoryMode;
  return entry.isExecutable === true ? executableMode : fileMode;
}

function padding(lengthBytes: number): Uint8Array {
  return Buffer.alloc((4 - (lengthBytes % 4)) % 4);
}
