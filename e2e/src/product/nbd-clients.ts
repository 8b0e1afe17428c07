/** Real NBD clients on a volume: the programs that users move data with. Each call is one run of the program. */
import { runCommand, tryCommand, type CommandResult } from '../process/run-command.ts';

/** Copying 1 GiB takes seconds; on a busy machine it may take minutes. */
const copyTimeoutMs = 300_000;

/** A run of bytes with one state, as `nbdinfo --map` prints it. */
export interface MapExtent {
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  readonly type: 'data' | 'hole' | 'zero' | 'hole,zero';
}

/** The address of an export behind a unix socket. */
export function exportUri(socket: string, exportName: string): string {
  return `nbd+unix:///${exportName}?socket=${socket}`;
}

/** Copies a raw file over a volume with qemu-img, flushed at the end. */
export async function convertIntoVolume(file: string, uri: string): Promise<void> {
  const args = ['convert', '-n', '-f', 'raw', '-O', 'raw', '-m', '8', '-W', file, uri];
  await runCommand('qemu-img', args, { timeoutMs: copyTimeoutMs });
}

/** Compares two images with qemu-img: both may be files or volumes. */
export async function compareImages(left: string, right: string): Promise<CommandResult> {
  const args = ['compare', '-f', 'raw', '-F', 'raw', left, right];
  return tryCommand('qemu-img', args, { timeoutMs: copyTimeoutMs });
}

/** Runs qemu-io commands on a volume, in order; one that fails makes qemu-io print why. */
export async function qemuIo(
  uri: string,
  commands: readonly string[],
  options: { readonly readOnly?: boolean } = {},
): Promise<CommandResult> {
  const args = [
    '--format=raw',
    ...(options.readOnly === true ? ['-r'] : []),
    ...commands.flatMap((command) => ['-c', command]),
    uri,
  ];
  const result = await tryCommand('qemu-io', args, { timeoutMs: copyTimeoutMs });
  // qemu-io ends with 0 although a pattern did not match: the words tell.
  const failed = /failed|error/i.test(result.stdout + result.stderr);
  return failed && result.code === 0 ? { ...result, code: 1 } : result;
}

/** Runs qemu-io commands and demands that all of them succeed. */
export async function qemuIoOk(
  uri: string,
  commands: readonly string[],
  options: { readonly readOnly?: boolean } = {},
): Promise<void> {
  const result = await qemuIo(uri, commands, options);
  if (result.code !== 0) {
    throw new Error(`qemu-io ${commands.join('; ')} failed: ${result.stdout}${result.stderr}`);
  }
}

/** Which parts of a volume are holes. */
export async function allocationMap(uri: string): Promise<readonly MapExtent[]> {
  return parseMap(await runCommand('nbdinfo', ['--map', uri]));
}

/** Reads the lines of `nbdinfo --map`: offset, size, flags, description. */
export function parseMap(text: string): readonly MapExtent[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const found = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(data|hole|zero|hole,zero)\s*$/.exec(line);
      if (found === null) throw new Error(`Reading the map line "${line}" failed`);
      return {
        offsetBytes: Number(found[1]),
        sizeBytes: Number(found[2]),
        type: found[4] as MapExtent['type'],
      };
    });
}

/** The names of all exports that the server lists. */
export async function listExports(socket: string): Promise<readonly string[]> {
  const args = ['--list', '--json', '--no-content', `nbd+unix:///?socket=${socket}`];
  const listing = JSON.parse(await runCommand('nbdinfo', args)) as {
    readonly exports?: readonly { readonly 'export-name': string }[];
  };
  return (listing.exports ?? []).map((each) => each['export-name']);
}

/** The SHA-256 of a volume's content, read through nbdcopy. */
export async function contentDigest(uri: string): Promise<string> {
  const script = 'set -o pipefail; nbdcopy "$1" - | sha256sum';
  const output = await runCommand('bash', ['-c', script, 'bash', uri], {
    timeoutMs: copyTimeoutMs,
  });
  return output.split(' ')[0] ?? '';
}
