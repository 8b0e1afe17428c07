/**
 * What a device carries before it is formatted. Data is destroyed by one wrong "blank", so:
 *
 * - The caller holds the device exclusively, so nobody can put something there between the look and the
 *   format.
 * - A read that fails is an error. It is never taken for "nothing there"; blkid alone cannot tell these apart
 *   (exit code 2 for both), so the places where signatures lie are read here first.
 * - A copy of a Varve superblock that can be read makes the device a pool, whatever else is on it.
 */
import { execFile } from 'node:child_process';

import { ProblemError } from '@varve/contract/problem';
import type { FoundSignature } from '@varve/contract/pool';

import type { BlockDevice } from '../../device/block-device.ts';
import { CorruptionError } from '../../format/corruption-error.ts';
import { decodeSuperblock, hasSuperblockMagic } from '../../format/superblock.ts';
import { blockSizeBytes } from '../../units.ts';
import { formatUuid } from '../uuid-text.ts';

const mebibyteBytes = 1024 * 1024;
/** Every signature that blkid knows begins in the first 4 MiB or in the last one. */
export const signatureHeadBytes = 4 * mebibyteBytes;
/** See `signatureHeadBytes`. */
export const signatureTailBytes = mebibyteBytes;
/**
 * Ample for a probe that reads a few blocks; a device that does not answer must not hold the request for
 * ever.
 */
const blkidTimeoutMs = 20_000;
/** Where blkid is, and where the paths of ordinary users do not look (Debian). */
const systemFolders = ['/usr/sbin', '/sbin'];
/** From blkid(8): nothing found; several signatures that contradict each other. */
const blkidNothing = 2;
const blkidAmbivalent = 8;

/** What was found on a device. */
export interface DeviceContent {
  /** A readable superblock: it is never overwritten. */
  readonly pool: { readonly name: string; readonly uuid: string } | undefined;
  /** Everything else that may be overwritten when quoted. */
  readonly signatures: readonly FoundSignature[];
}

/**
 * Looks for pools, file systems, partition tables, RAID and LVM members.
 *
 * @throws ProblemError `unavailable` if the device cannot be read or probed, `failed-precondition` if
 * signatures contradict.
 */
export async function readDeviceContent(device: BlockDevice): Promise<DeviceContent> {
  const copies = await readCopies(device);
  return {
    pool: findPool(copies),
    signatures: [...findDamagedPool(copies), ...(await probeWithBlkid(device.name))],
  };
}

/** The pool that a device belongs to; undefined if no copy of its superblock can be read. */
export async function readPoolOf(device: BlockDevice): Promise<DeviceContent['pool']> {
  return findPool(await readCopies(device));
}

/**
 * What lies where the copies of a superblock are. Reads wherever a signature could be, so that an unreadable
 * place is noticed.
 */
async function readCopies(device: BlockDevice): Promise<readonly Uint8Array[]> {
  const head = await readRange(device, 0, Math.min(signatureHeadBytes, device.sizeBytes));
  const tailBytes = Math.min(signatureTailBytes, device.sizeBytes);
  const tail = await readRange(device, device.sizeBytes - tailBytes, tailBytes);
  return [head, head.subarray(mebibyteBytes), tail];
}

/** The first copy of a superblock that can be read, or that a newer version wrote. */
function findPool(copies: readonly Uint8Array[]): DeviceContent['pool'] {
  for (const [copyNumber, bytes] of copies.entries()) {
    if (bytes.length < blockSizeBytes) continue;
    const page = bytes.subarray(0, blockSizeBytes);
    try {
      const { poolName, poolUuid } = decodeSuperblock(page, copyNumber);
      return { name: poolName, uuid: formatUuid(poolUuid) };
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      if (error.kind === 'version' || error.kind === 'features') {
        return {
          name: `of another version: ${error.message}`,
          uuid: formatUuid(page.slice(24, 40)),
        };
      }
    }
  }
  return undefined;
}

/** A superblock whose copies are all damaged: `varve`, with the uuid that it names. */
function findDamagedPool(copies: readonly Uint8Array[]): readonly FoundSignature[] {
  if (findPool(copies)) return [];
  const damaged = copies.find((copy) => copy.length >= blockSizeBytes && hasSuperblockMagic(copy));
  return damaged ? [{ type: 'varve', uuid: formatUuid(damaged.slice(24, 40)) }] : [];
}

function readRange(
  device: BlockDevice,
  offsetBytes: number,
  lengthBytes: number,
): Promise<Uint8Array> {
  const target = new Uint8Array(lengthBytes);
  return new Promise((resolve, reject) => {
    device.read(offsetBytes, target, (error) => {
      if (error === null) resolve(target);
      else reject(probeFailed(device.name, error.message));
    });
  });
}

/** Runs `blkid -p` and reads its key=value lines. */
export async function probeWithBlkid(
  path: string,
  program = 'blkid',
): Promise<readonly FoundSignature[]> {
  const { code, output, errors } = await run(program, ['-p', '-o', 'export', '--', path]);
  if (code === 0) return parseBlkid(path, output);
  if (code === blkidNothing && errors === '') return [];
  if (code === blkidAmbivalent) {
    throw new ProblemError(
      'failed-precondition',
      `Probing device "${path}" failed: blkid found signatures that contradict each other; look with ` +
        'wipefs and remove what is not needed first',
      { blocker: 'ambivalent signatures' },
    );
  }
  if (code === 'ENOENT') {
    throw probeFailed(path, 'the program blkid (of util-linux) is not installed');
  }
  throw probeFailed(path, `blkid ended with ${code}: ${errors.trim() || 'it did not say why'}`);
}

function parseBlkid(path: string, output: string): readonly FoundSignature[] {
  const fields = new Map<string, string>();
  for (const line of output.split('\n')) {
    const at = line.indexOf('=');
    if (at > 0) fields.set(line.slice(0, at), line.slice(at + 1).replace(/\\(.)/g, '$1'));
  }
  const signature = (type: string, uuid: string): FoundSignature[] => {
    const name = fields.get(type);
    const id = fields.get(uuid);
    return name === undefined ? [] : [{ type: name, ...(id !== undefined && { uuid: id }) }];
  };
  const found = [...signature('TYPE', 'UUID'), ...signature('PTTYPE', 'PTUUID')];
  if (found.length === 0) throw probeFailed(path, `blkid said ${JSON.stringify(output)}`);
  return found;
}

function run(
  program: string,
  options: readonly string[],
): Promise<{ readonly code: number | string; readonly output: string; readonly errors: string }> {
  return new Promise((resolve) => {
    const folders = [process.env['PATH'], ...systemFolders].filter(Boolean).join(':');
    const env = { ...process.env, PATH: folders, LC_ALL: 'C', BLKID_DEBUG: undefined };
    execFile(program, options, { timeout: blkidTimeoutMs, env }, (error, output, errors) => {
      const code = error === null ? 0 : (error.code ?? error.signal ?? 'an unknown failure');
      resolve({ code, output, errors });
    });
  });
}

function probeFailed(path: string, why: string): ProblemError {
  return new ProblemError(
    'unavailable',
    `Probing device "${path}" failed: ${why}; a device that cannot be probed is not taken for blank`,
  );
}
