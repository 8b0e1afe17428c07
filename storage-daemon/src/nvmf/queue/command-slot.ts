/**
 * One command from its capsule to its completion. A queue has a fixed set of slots and uses them again, so that a
 * command costs no allocation beyond its data.
 *
 *   free -> receiving (data comes) -> executing -> free
 *      \-> waiting (for room for its data) -> receiving | executing
 *      \-> parked (an asynchronous event request) -> free
 *
 * Layout of the submission queue entry, which starts 8 bytes into the capsule (NVMe Base 2.0, section 3.3.3.1):
 *
 *   OFFSET SIZE FIELD
 *   0      1    opcode
 *   1      1    FUSE (bits 1:0), PSDT (bits 7:6)
 *   2      2    command id: any 16 bits, never an index
 *   4      4    namespace id; of fabrics commands, byte 4 is the command's type
 *   24     16   SGL1: address 8, length 4, reserved 3, type 1
 *   40     24   command dwords 10 to 15
 */
import type { IoBuffer } from '../../nbd/io-buffer.ts';
import type { NvmeCompletion } from '../ports.ts';
import { DataDirection, fabricsOpcode } from '../wire-constants.ts';

/** Where a command is on its way. */
export type CommandState = 'free' | 'waiting' | 'receiving' | 'executing' | 'parked';

const sqeOffset = 8;

/** A place for one command. */
export class CommandSlot {
  readonly index: number;
  /** Counts uses, so that a transfer tag of an earlier use is noticed. */
  generation = 0;
  state: CommandState = 'free';
  opcode = 0;
  flags = 0;
  commandId = 0;
  namespaceId = 0;
  fabricsType = 0;
  isSglAddressZero = true;
  sglBytes = 0;
  sglType = 0;
  dword10 = 0;
  dword11 = 0;
  dword12 = 0;
  dword13 = 0;
  dword14 = 0;
  /** What the host sends with the command. */
  data: Buffer | undefined;
  /** Where that lies, or what a read fills. */
  buffer: IoBuffer | undefined;
  /** Data that has been asked for, and that has arrived. */
  requestedBytes = 0;
  receivedBytes = 0;
  /** Some of the data came with a wrong digest. */
  isDataBad = false;
  /** Memory that running it takes besides its data: for what Compare and Verify read. */
  scratchBytes = 0;
  /** Part of the queue's budget that the command holds. */
  budgetBytes = 0;
  /** What the volume calls when the usual commands end: made once, and used again by the slot's next command. */
  completion: NvmeCompletion | undefined;
  /** Called when it is completed or dropped while executing: someone waits for that. */
  settled: (() => void) | undefined;

  constructor(index: number) {
    this.index = index;
  }

  /** What R2T and H2CData call the transfer. */
  get transferTag(): number {
    return this.index | ((this.generation & 0xff) << 8);
  }

  /** NLB, counted from one. */
  get blockCount(): number {
    return (this.dword12 & 0xffff) + 1;
  }

  /** SLBA as a number: exact up to 2^53, far beyond every volume; larger ones stay larger. */
  get startLba(): number {
    return this.dword11 * 2 ** 32 + this.dword10;
  }

  /** FUA of I/O commands. */
  get isFua(): boolean {
    return (this.dword12 & 0x4000_0000) !== 0;
  }

  /** Which way the command's data goes. */
  get direction(): number {
    return (this.opcode === fabricsOpcode ? this.fabricsType : this.opcode) & 3;
  }

  /** The host sends data. */
  get hasHostData(): boolean {
    return this.direction === DataDirection.HOST_TO_CONTROLLER && this.sglBytes > 0;
  }

  /** Takes a command over from the header of its capsule. */
  load(header: Buffer): void {
    const sqe = sqeOffset;
    this.generation++;
    this.opcode = header[sqe]!;
    this.flags = header[sqe + 1]!;
    this.commandId = header.readUInt16LE(sqe + 2);
    this.namespaceId = header.readUInt32LE(sqe + 4);
    this.fabricsType = header[sqe + 4]!;
    this.isSglAddressZero =
      header.readUInt32LE(sqe + 24) === 0 && header.readUInt32LE(sqe + 28) === 0;
    this.sglBytes = header.readUInt32LE(sqe + 32);
    this.sglType = header[sqe + 39]!;
    this.dword10 = header.readUInt32LE(sqe + 40);
    this.dword11 = header.readUInt32LE(sqe + 44);
    this.dword12 = header.readUInt32LE(sqe + 48);
    this.dword13 = header.readUInt32LE(sqe + 52);
    this.dword14 = header.readUInt32LE(sqe + 56);
    this.data = undefined;
    this.requestedBytes = 0;
    this.receivedBytes = 0;
    this.isDataBad = false;
    this.scratchBytes = 0;
    this.budgetBytes = 0;
    this.settled = undefined;
  }

  /** Forgets the command. */
  release(): void {
    this.state = 'free';
    this.data = undefined;
    const { settled } = this;
    this.settled = undefined;
    settled?.();
  }
}
