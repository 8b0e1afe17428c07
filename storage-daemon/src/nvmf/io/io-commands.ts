/**
 * Commands of the NVM command set (NVM Command Set 1.0, section 3): judged before their data is asked for, then turned
 * into requests on the volume. One namespace, 4 KiB blocks.
 *
 * Blocks that Write Zeroes clears are always given back, with or without DEAC: they read as zeros either way, and a
 * copy-on-write volume has no place to keep for them.
 */
import { nvmeTransferBytesMax } from '../../limits.ts';
import type { IoBufferPool } from '../../nbd/io-buffer.ts';
import { blockSizeBytes } from '../../units.ts';
import {
  discardBlocksMax,
  discardRangeBlocksMax,
  discardRangesMax,
  verifyShift,
} from '../controller/identify.ts';
import { NvmeStatus, type NvmeStatusValue } from '../nvme-status.ts';
import type { NvmeCompletion, NvmeVolume } from '../ports.ts';
import type { CommandSlot } from '../queue/command-slot.ts';
import { broadcastNsid, IoOpcode, volumeNsid } from '../wire-constants.ts';
import { type DiscardRange, rangeBytes, readRanges } from './dataset-management.ts';
import { failureStatus } from './failure-status.ts';

/** The queue that the commands came by. */
export interface IoQueue {
  /** Its connection lives: answers still reach someone. */
  readonly isOpen: boolean;
  /** Completes without data. */
  complete(command: CommandSlot, status: NvmeStatusValue): void;
  /** Completes a read, whose buffer is full. */
  completeRead(command: CommandSlot): void;
}

const known: ReadonlySet<number> = new Set(Object.values(IoOpcode));
const verifyBlocksMax = 1 << verifyShift;
const deallocateBit = 0x4;

/** The I/O commands of one queue. */
export class IoCommands {
  readonly #volume: NvmeVolume;
  readonly #queue: IoQueue;
  readonly #buffers: IoBufferPool;
  /** Completions of the rare commands that need one of their own, by slot; the last of each slot. */
  readonly #special = new Map<number, NvmeCompletion>();

  constructor(volume: NvmeVolume, queue: IoQueue, buffers: IoBufferPool) {
    this.#buffers = buffers;
    this.#volume = volume;
    this.#queue = queue;
  }

  /** Status of a command that must not run; judged before its data is asked for. */
  judge(command: CommandSlot): NvmeStatusValue {
    const { opcode, namespaceId, sglBytes } = command;
    if (!known.has(opcode)) return NvmeStatus.INVALID_OPCODE;
    const isFlushOfAll = opcode === IoOpcode.FLUSH && namespaceId === broadcastNsid;
    if (namespaceId !== volumeNsid && !isFlushOfAll) return NvmeStatus.INVALID_NAMESPACE;
    if (opcode === IoOpcode.FLUSH) return NvmeStatus.SUCCESS;
    if (opcode === IoOpcode.DATASET_MANAGEMENT) {
      const neededBytes = ((command.dword10 & 0xff) + 1) * rangeBytes;
      // Linux always sends 4096 bytes, nvme-cli what is needed.
      const isLongEnough = sglBytes >= neededBytes && sglBytes <= discardRangesMax * rangeBytes;
      return isLongEnough ? NvmeStatus.SUCCESS : NvmeStatus.DATA_SGL_LENGTH_INVALID;
    }
    const status = this.#judgeRange(command);
    const readsBack = opcode === IoOpcode.COMPARE || opcode === IoOpcode.VERIFY;
    if (status === NvmeStatus.SUCCESS && readsBack) {
      command.scratchBytes = command.blockCount * blockSizeBytes;
    }
    return status;
  }

  /** Runs a command that was judged good and whose data has come. */
  run(command: CommandSlot): void {
    const offsetBytes = command.startLba * blockSizeBytes;
    const lengthBytes = command.blockCount * blockSizeBytes;
    switch (command.opcode) {
      case IoOpcode.READ:
        this.#read(command, offsetBytes, lengthBytes);
        return;
      case IoOpcode.WRITE:
        this.#volume.write(offsetBytes, command.data!, command.isFua, this.#completion(command));
        return;
      case IoOpcode.FLUSH:
        this.#volume.flush(this.#completion(command));
        return;
      case IoOpcode.WRITE_ZEROES: {
        const options = { fua: command.isFua, keepAllocated: false };
        this.#volume.writeZeroes(offsetBytes, lengthBytes, options, this.#completion(command));
        return;
      }
      case IoOpcode.DATASET_MANAGEMENT:
        this.#discard(command);
        return;
      default:
        this.#compareOrVerify(command, offsetBytes, lengthBytes);
    }
  }

  /** The connection is gone: what has not started in the volume never will. */
  dropWaiting(commands: Iterable<CommandSlot>): void {
    const completions = new Set<NvmeCompletion>();
    for (const { state, completion, index } of commands) {
      if (state !== 'executing') continue;
      const special = this.#special.get(index);
      if (special) completions.add(special);
      if (completion) completions.add(completion);
    }
    if (completions.size > 0) this.#volume.dropWaiting(completions);
  }

  #judgeRange(command: CommandSlot): NvmeStatusValue {
    const { opcode, startLba, blockCount, sglBytes } = command;
    const lengthBytes = blockCount * blockSizeBytes;
    const hasData = opcode !== IoOpcode.WRITE_ZEROES && opcode !== IoOpcode.VERIFY;
    if (hasData && lengthBytes > nvmeTransferBytesMax) return NvmeStatus.INVALID_FIELD;
    if (opcode === IoOpcode.VERIFY && blockCount > verifyBlocksMax) return NvmeStatus.INVALID_FIELD;
    if (hasData && sglBytes !== lengthBytes) return NvmeStatus.DATA_SGL_LENGTH_INVALID;
    if (!this.#isInside(startLba, blockCount)) return NvmeStatus.LBA_OUT_OF_RANGE;
    const isChange = opcode === IoOpcode.WRITE || opcode === IoOpcode.WRITE_ZEROES;
    if (isChange && this.#volume.isReadOnly) return NvmeStatus.NAMESPACE_WRITE_PROTECTED;
    return NvmeStatus.SUCCESS;
  }

  #isInside(startLba: number, blockCount: number): boolean {
    const sizeBlocks = this.#volume.sizeBytes / blockSizeBytes;
    return startLba <= sizeBlocks && blockCount <= sizeBlocks - startLba;
  }

  #read(command: CommandSlot, offsetBytes: number, lengthBytes: number): void {
    command.buffer = this.#buffers.acquire(lengthBytes);
    this.#volume.read(offsetBytes, command.buffer.view(lengthBytes), this.#completion(command));
  }

  /** Both read the media; Compare after all of its data has come. */
  #compareOrVerify(command: CommandSlot, offsetBytes: number, lengthBytes: number): void {
    const target = Buffer.allocUnsafe(lengthBytes);
    const expected = command.opcode === IoOpcode.COMPARE ? command.data : undefined;
    const done: NvmeCompletion = (failure) => {
      if (failure) this.#queue.complete(command, failureStatus(command.opcode, failure));
      else if (expected?.equals(target) === false) {
        this.#queue.complete(command, NvmeStatus.COMPARE_FAILURE);
      } else this.#queue.complete(command, NvmeStatus.SUCCESS);
    };
    this.#special.set(command.index, done);
    this.#volume.read(offsetBytes, target, done);
  }

  /** All ranges are judged first; the rest of the bits are hints. */
  #discard(command: CommandSlot): void {
    if ((command.dword11 & deallocateBit) === 0) {
      this.#queue.complete(command, NvmeStatus.SUCCESS);
      return;
    }
    const ranges = readRanges(command.data!, (command.dword10 & 0xff) + 1);
    const status = this.#judgeRanges(ranges);
    if (status === NvmeStatus.SUCCESS) this.#discardFrom(command, ranges, 0);
    else this.#queue.complete(command, status);
  }

  #judgeRanges(ranges: readonly DiscardRange[]): NvmeStatusValue {
    let sumBlocks = 0;
    for (const { startLba, blockCount } of ranges) {
      if (!this.#isInside(startLba, blockCount)) return NvmeStatus.LBA_OUT_OF_RANGE;
      if (blockCount > discardRangeBlocksMax) return NvmeStatus.COMMAND_SIZE_LIMIT_EXCEEDED;
      sumBlocks += blockCount;
    }
    if (sumBlocks > discardBlocksMax) return NvmeStatus.COMMAND_SIZE_LIMIT_EXCEEDED;
    return this.#volume.isReadOnly ? NvmeStatus.NAMESPACE_WRITE_PROTECTED : NvmeStatus.SUCCESS;
  }

  /** One range after the other; a host that is gone gets nothing further done. */
  #discardFrom(command: CommandSlot, ranges: readonly DiscardRange[], index: number): void {
    const range = ranges[index];
    if (!range || !this.#queue.isOpen) {
      this.#queue.complete(command, NvmeStatus.SUCCESS);
      return;
    }
    const offsetBytes = range.startLba * blockSizeBytes;
    const done: NvmeCompletion = (failure) => {
      if (failure) this.#queue.complete(command, failureStatus(command.opcode, failure));
      else this.#discardFrom(command, ranges, index + 1);
    };
    this.#special.set(command.index, done);
    this.#volume.discard(offsetBytes, range.blockCount * blockSizeBytes, false, done);
  }

  /** Made once for each slot. */
  #completion(command: CommandSlot): NvmeCompletion {
    command.completion ??= (failure) => {
      if (failure) this.#queue.complete(command, failureStatus(command.opcode, failure));
      else if (command.opcode === IoOpcode.READ) this.#queue.completeRead(command);
      else this.#queue.complete(command, NvmeStatus.SUCCESS);
    };
    return command.completion;
  }
}
