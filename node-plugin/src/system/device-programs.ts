/** The programs that look at, make, check and grow file systems. */
import { open } from 'node:fs/promises';
import { ProblemError } from '@varve/contract/problem';
import type { FilesystemPlace, ProbeResult } from './node-system.ts';
import { requireProgram, runProgram } from './run-program.ts';

/** kubelet waits 2 minutes for a call; what takes longer is killed, and begun again. */
const programTimeoutMs = 90_000;
/** What blkid looks at lies here, at both ends of a device. */
const probedBytes = 4 * 1024 * 1024;
/** Exit codes of blkid(8). */
const blkidCodes = { found: 0, nothing: 2, ambivalent: 8 } as const;
/** Exit codes of e2fsck(8) after which the file system can be mounted: clean, corrected. */
const fsckCodes = [0, 1];

/**
 * What a device holds. blkid ends with the same code when it found nothing and when it could not read, so both
 * ends of the device are read here first: a read that fails is an error, never an empty device.
 */
export async function probeDevice(device: string): Promise<ProbeResult> {
  await expectReadable(device);
  const result = await runProgram('blkid', ['-p', '-o', 'export', device], programTimeoutMs);
  if (result.code === blkidCodes.ambivalent) {
    return { kind: 'other', what: 'signatures of several formats' };
  }
  const isSilent = result.stderr.trim() === '' && result.stdout.trim() === '';
  if (result.code === blkidCodes.nothing && isSilent) return { kind: 'nothing' };
  if (result.code !== blkidCodes.found) {
    throw new ProblemError(
      'unavailable',
      `Reading what is on ${device} failed: blkid ended with code ${result.code}: ${result.stderr.trim()}. ` +
        'A device that cannot be read is not taken for an empty one',
    );
  }
  return parseProbe(result.stdout);
}

/** What `blkid -o export` printed. */
export function parseProbe(text: string): ProbeResult {
  const fields = new Map(
    text.split('\n').map((line): [string, string] => {
      const equals = line.indexOf('=');
      return [line.slice(0, equals), line.slice(equals + 1)];
    }),
  );
  const type = fields.get('TYPE');
  if (type !== undefined && fields.get('USAGE') === 'filesystem') {
    return { kind: 'filesystem', type };
  }
  const table = fields.get('PTTYPE');
  const what = type ?? (table === undefined ? 'something unknown' : `a ${table} partition table`);
  return { kind: 'other', what };
}

/** Makes a file system over whatever was there: the caller has decided that nothing is. */
export async function makeFilesystem({ device, type }: FilesystemPlace): Promise<void> {
  const args = type === 'ext4' ? ['-q', '-F', '-m', '0', device] : ['-q', '-f', device];
  await requireProgram(`mkfs.${type}`, args, { timeoutMs: programTimeoutMs });
}

/** ext4 is checked, and repaired where that is safe; xfs replays its log when it is mounted. */
export async function checkFilesystem({ device, type }: FilesystemPlace): Promise<void> {
  if (type === 'xfs') return;
  const result = await runProgram('fsck.ext4', ['-p', device], programTimeoutMs);
  if (fsckCodes.includes(result.code)) return;
  throw new ProblemError(
    'data-loss',
    `Checking the file system on ${device} failed: fsck.ext4 -p ended with code ${result.code}: ` +
      `${(result.stdout + result.stderr).trim().slice(-500)}. ` +
      'Repair it by hand with fsck.ext4, or restore a snapshot',
  );
}

/** Grows it to its device. Both programs change nothing when it is as large already. */
export async function growFilesystem(
  { device, type }: FilesystemPlace,
  mountedAt: string,
): Promise<void> {
  const options = { timeoutMs: programTimeoutMs };
  if (type === 'ext4') await requireProgram('resize2fs', [device], options);
  else await requireProgram('xfs_growfs', ['-d', mountedAt], options);
}

async function expectReadable(device: string): Promise<void> {
  try {
    const file = await open(device, 'r');
    try {
      const buffer = Buffer.alloc(probedBytes);
      const { size } = await file.stat();
      const sizeBytes = size > 0 ? size : await deviceBytes(device);
      for (const position of [0, Math.max(0, sizeBytes - probedBytes)]) {
        const { bytesRead } = await file.read(buffer, 0, probedBytes, position);
        if (bytesRead === 0) throw new Error(`nothing could be read at ${position}`);
      }
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw new ProblemError(
      'unavailable',
      `Reading ${device} failed: ${(cause as Error).message}. ` +
        'A device that cannot be read is not taken for an empty one',
      { cause },
    );
  }
}

async function deviceBytes(device: string): Promise<number> {
  const { stdout } = await requireProgram('blockdev', ['--getsize64', device], {
    timeoutMs: programTimeoutMs,
  });
  return Number(stdout);
}
