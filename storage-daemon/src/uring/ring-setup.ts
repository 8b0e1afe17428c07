/**
 * Creates a ring with the best flags that the kernel has, and maps it. Which flags a kernel knows is found by
 * trying: it refuses those that it does not know as invalid.
 */
import { readFileSync } from 'node:fs';

import { assert } from '@varve/common/assert';

import {
  errno,
  featureFlag,
  mapFlag,
  parametersWord,
  parametersWords,
  ringOffset,
  setupFlag,
} from './kernel-abi.ts';
import { RingRefusedError } from './ring-refused-error.ts';
import {
  closeDescriptor,
  errorName,
  mapMemory,
  type RingSystemCalls,
  unmapMemory,
  viewMemory,
} from './system-calls.ts';

const cooperative = setupFlag.submitAll | setupFlag.cooperativeTaskRun;
const deferred = cooperative | setupFlag.singleIssuer | setupFlag.deferTaskRun;

/** From the newest kernel down: 6.6, 6.1, 6.6 and 6.0 without deferred work, 5.19. */
const flagSteps: readonly number[] = [
  deferred | setupFlag.noSubmissionArray,
  deferred,
  cooperative | setupFlag.singleIssuer | setupFlag.noSubmissionArray,
  cooperative | setupFlag.singleIssuer,
  cooperative,
];

const neededFeatures =
  featureFlag.singleMapping | featureFlag.noDrop | featureFlag.extendedArgument;

/** Sizes of a ring, powers of two, and what it must not do. */
export interface RingSizes {
  readonly submissionEntries: number;
  readonly completionEntries: number;
  /**
   * False keeps the kernel from leaving work until the thread enters the ring (DEFER_TASKRUN), where it would not
   * tell a sleeping thread of it (see `receive-probe`).
   */
  readonly mayDeferWork?: boolean;
}

/** A ring's file and its memory. */
export interface RingMemory {
  readonly fd: number;
  readonly flags: number;
  readonly parameters: Uint32Array;
  /** Heads, tails and completions, as words. */
  readonly queues: Int32Array;
  /** Entries to submit, as words. */
  readonly entries: Uint32Array;
  /** Ends both mappings; no view of them may be touched afterwards. */
  unmap(): void;
}

/** @throws RingRefusedError with what stands in the way. */
export function createRing(sizes: RingSizes, calls: RingSystemCalls): RingMemory {
  let parameters: Uint32Array | undefined;
  let fd = -errno.invalid;
  for (const flags of flagSteps) {
    if (sizes.mayDeferWork === false && (flags & setupFlag.deferTaskRun) !== 0) continue;
    parameters = new Uint32Array(parametersWords);
    parameters[parametersWord.completionEntries] = sizes.completionEntries;
    parameters[parametersWord.flags] = flags | setupFlag.completionQueueSize;
    fd = calls.setup(sizes.submissionEntries, parameters);
    if (fd !== -errno.invalid) break;
  }
  if (fd < 0 || parameters === undefined) throw explainRefusal(fd);
  try {
    return mapRing(fd, parameters);
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
}

function mapRing(fd: number, parameters: Uint32Array): RingMemory {
  const features = parameters[parametersWord.features]!;
  assert((features & neededFeatures) === neededFeatures, `io_uring features ${features}`);
  const submissionEntries = parameters[parametersWord.submissionEntries]!;
  const queuesBytes = sizeOfQueues(parameters);
  const queues = mapPart(fd, queuesBytes, ringOffset.queues);
  const entriesBytes = submissionEntries * 64;
  let entries: number;
  try {
    entries = mapPart(fd, entriesBytes, ringOffset.submissionEntries);
  } catch (error) {
    unmapMemory(queues, queuesBytes);
    throw error;
  }
  return {
    fd,
    flags: parameters[parametersWord.flags]!,
    parameters,
    queues: new Int32Array(viewMemory(queues, queuesBytes)),
    entries: new Uint32Array(viewMemory(entries, entriesBytes)),
    unmap: () => {
      unmapMemory(queues, queuesBytes);
      unmapMemory(entries, entriesBytes);
    },
  };
}

/** The index array or the completions, whichever ends later (`io_uring_setup(2)`). */
function sizeOfQueues(parameters: Uint32Array): number {
  const hasArray = (parameters[parametersWord.flags]! & setupFlag.noSubmissionArray) === 0;
  const arrayEnd = hasArray
    ? parameters[parametersWord.submissionOffsets + 6]! +
      parameters[parametersWord.submissionEntries]! * 4
    : 0;
  const completionsEnd =
    parameters[parametersWord.completionOffsets + 5]! +
    parameters[parametersWord.completionEntries]! * 16;
  return Math.max(arrayEnd, completionsEnd);
}

function mapPart(fd: number, sizeBytes: number, offsetBytes: number): number {
  const how = { protection: mapFlag.readWrite, flags: mapFlag.shared | mapFlag.populate };
  const address = mapMemory(sizeBytes, how, fd, offsetBytes);
  if (address < 0) {
    throw new RingRefusedError('out-of-memory', `Map an io_uring: ${errorName(address)}`);
  }
  return address;
}

function explainRefusal(error: number): RingRefusedError {
  const name = errorName(error);
  switch (-error) {
    case errno.notPermitted:
    case errno.accessDenied:
      return new RingRefusedError(
        'not-permitted',
        `io_uring is not permitted here (${name}): ${describeSetting()}`,
      );
    case errno.noSuchSystemCall:
      return new RingRefusedError(
        'unsupported',
        `io_uring is not there (${name}): this kernel has none, or a seccomp profile hides it`,
      );
    case errno.invalid:
      return new RingRefusedError(
        'unsupported',
        'io_uring of this kernel is too old: Linux 5.19 or newer is needed',
      );
    case errno.noMemory:
      return new RingRefusedError(
        'out-of-memory',
        `io_uring gets no memory (${name}): without CAP_IPC_LOCK its queues count against the limit of locked memory ` +
          '(ulimit -l)',
      );
    default:
      return new RingRefusedError('out-of-memory', `Creating an io_uring failed: ${name}`);
  }
}

/** What the kernel's own switch says, if that is the reason. */
function describeSetting(): string {
  const path = '/proc/sys/kernel/io_uring_disabled';
  let value = '0';
  try {
    value = readFileSync(path, 'utf8').trim();
  } catch {
    // Kernels before 6.6 have no such switch.
  }
  if (value !== '0') return `${path} is ${value}`;
  return 'a seccomp profile or a security module forbids it; a pod needs seccompProfile Unconfined';
}
