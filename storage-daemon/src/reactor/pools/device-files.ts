/** Plain files as devices: created sparse, whole or not at all, and removed again if no pool came of it. */
import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  openSync,
  rmSync,
  statSync,
  type Stats,
} from 'node:fs';
import { dirname } from 'node:path';

import { isProblemError, ProblemError } from '@varve/contract/problem';

import { systemCode } from '../../device/device-open-error.ts';

/**
 * Makes sure that a plain file of this size exists. It appears under its name with its full size, so a
 * crash leaves no short file that a later attempt would trip over.
 *
 * @returns whether it was made now.
 * @throws ProblemError when it exists with another size, or is no plain file.
 */
export function ensureSparseFile(path: string, sizeBytes: number, field: string): boolean {
  const action = `Creating file "${path}" of ${sizeBytes} bytes failed`;
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found !== undefined) {
      checkExisting(action, found, sizeBytes, field);
      return false;
    }
    createSparseFile(path, sizeBytes);
    return true;
  } catch (error) {
    if (isProblemError(error)) throw error;
    const code = systemCode(error) ?? String(error);
    throw new ProblemError('failed-precondition', `${action}: ${code}`, { field, cause: error });
  }
}

/** Removes a file that `ensureSparseFile` made and nothing was written to. */
export function removeFile(path: string): void {
  rmSync(path, { force: true });
  syncFolder(path);
}

function checkExisting(action: string, found: Stats, sizeBytes: number, field: string): void {
  if (!found.isFile()) {
    throw new ProblemError(
      'invalid-argument',
      `${action}: it exists and is no plain file; sizeBytes is for plain files only`,
      { field },
    );
  }
  if (found.size !== sizeBytes) {
    throw new ProblemError(
      'failed-precondition',
      `${action}: it exists with ${found.size} bytes; leave sizeBytes out to use it as it is`,
      { field },
    );
  }
}

function createSparseFile(path: string, sizeBytes: number): void {
  const temporary = `${path}.new-${process.pid}`;
  rmSync(temporary, { force: true });
  const fd = openSync(temporary, 'wx', 0o600);
  try {
    ftruncateSync(fd, sizeBytes);
    fsyncSync(fd);
    // A hard link fails if the name was taken meanwhile; a rename would replace that file.
    linkSync(temporary, path);
  } finally {
    closeSync(fd);
    rmSync(temporary, { force: true });
  }
  syncFolder(path);
}

function syncFolder(path: string): void {
  const fd = openSync(dirname(path), 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
