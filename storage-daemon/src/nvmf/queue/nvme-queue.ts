/**
 * One connection, which is one queue: bytes in, actions out. Understands PDUs, moves data, sends completions, and
 * leaves the meaning of commands to `fabrics-commands`, `admin-commands` and `io-commands`.
 *
 *   initializing --ICReq--> initialized --Connect--> live
 *        any --violation (C2HTermReq), TermReq of the host, lost connection, end of controller--> closed
 *
 * A host counts the loss of one queue as the loss of its controller, so nothing is closed that a status can answer.
 * Commands that run when the connection goes complete into the void; `ended` comes after the last of them.
 */
import { assert } from '@varve/common/assert';

import {
  nbdDirectPayloadBytesMin,
  nvmeCapsuleDataBytesMax,
  nvmeTransferBytesMax,
} from '../../limits.ts';
import type { ReceiveSpace } from '../../nbd/session.ts';
import type { IoBufferPool } from '../../nbd/io-buffer.ts';
import { judgeAdmin, runAdmin } from '../controller/admin-commands.ts';
import type { CommandReply } from '../controller/command-reply.ts';
import type { ControllerQueue, NvmeController } from '../controller/nvme-controller.ts';
import { IoCommands } from '../io/io-commands.ts';
import { QueueBudget } from '../nvme-budget.ts';
import type { NvmeTally } from '../nvme-counters.ts';
import { NvmeStatus, type NvmeStatusValue } from '../nvme-status.ts';
import type { NvmeTarget } from '../nvme-target.ts';
import type { PduShape, PduTerms } from '../pdu/check-header.ts';
import { encodeTermReq } from '../pdu/encode-pdu.ts';
import { PduParser, type PduReceiver } from '../pdu/pdu-parser.ts';
import type { PduViolation } from '../pdu/pdu-violation.ts';
import type { NvmeQueueActions, NvmeTransportAddress } from '../ports.ts';
import { FatalError, fabricsOpcode, PduType } from '../wire-constants.ts';
import type { CommandSlot } from './command-slot.ts';
import { FabricsCommands, slotCount } from './fabrics-commands.ts';
import { answerIcReq } from './initialize-connection.ts';
import { Replies } from './replies.ts';
import { SlotTable } from './slot-table.ts';
import { judgeCapsule } from './judge-capsule.ts';
import { Transfers } from './transfers.ts';

/** What a queue is made of. */
export interface NvmeQueueOptions {
  /** Where the host reached us. */
  readonly localAddress: NvmeTransportAddress;
  /** Data of one H2CData, and of one R2T. */
  readonly h2cDataBytesMax?: number;
}

/** What a queue needs. */
export interface NvmeQueueDependencies {
  readonly target: NvmeTarget;
  readonly actions: NvmeQueueActions;
}

/** What the connection's owner must not wait for without end. */
export type NvmeWait = 'initialization' | 'connect' | 'data' | 'nothing';

/** The protocol machine of one connection. */
export class NvmeQueue implements PduReceiver, ControllerQueue {
  readonly #actions: NvmeQueueActions;
  readonly #terms: PduTerms;
  readonly #parser: PduParser;
  readonly #slots = new SlotTable();
  readonly #replies: Replies;
  readonly #buffers: IoBufferPool;
  readonly #tally: NvmeTally;
  readonly #transfers: Transfers;
  readonly #fabrics: FabricsCommands;
  #io: IoCommands | undefined;
  /** The command whose capsule comes in, and its status if it must not run. */
  #incoming: CommandSlot | undefined;
  #incomingStatus: NvmeStatusValue = NvmeStatus.SUCCESS;
  #isClosed = false;
  #isOutputBlocked = false;
  #runningCount = 0;
  #receivedCount = 0;
  #hasEnded = false;

  constructor(options: NvmeQueueOptions, { target, actions }: NvmeQueueDependencies) {
    this.#actions = actions;
    this.#terms = {
      isInitialized: false,
      hasHeaderDigest: false,
      hasDataDigest: false,
      capsuleDataBytesMax: nvmeCapsuleDataBytesMax,
      h2cDataBytesMax: options.h2cDataBytesMax ?? nvmeTransferBytesMax,
    };
    this.#parser = new PduParser(this.#terms, this);
    this.#replies = new Replies(this.#terms, {
      buffers: target.buffers,
      send: (reply) => this.#actions.send(reply),
    });
    this.#buffers = target.buffers;
    this.#tally = target.tally;
    this.#transfers = new Transfers(
      {
        terms: this.#terms,
        slots: this.#slots,
        budget: new QueueBudget(target.budget),
        buffers: target.buffers,
        tally: target.tally,
      },
      { send: (bytes) => this.#actions.send(bytes), ready: (command) => this.#run(command) },
    );
    this.#fabrics = new FabricsCommands(options, {
      target,
      queue: this,
      complete: (command, reply) => this.#completeReply(command, reply),
      elsewhere: (command, subsystemNqn) => this.#handOver(command, subsystemNqn),
      connected: (entries, { hasNoSqFlow }) => this.#connected(entries, hasNoSqFlow),
    });
  }

  /** Undefined until a Connect has succeeded. */
  get controller(): NvmeController | undefined {
    return this.#fabrics.controller;
  }

  get isOpen(): boolean {
    return !this.#isClosed;
  }

  get isReady(): boolean {
    return !this.#isOutputBlocked;
  }

  /** What the host must do next. */
  get waitsFor(): NvmeWait {
    if (this.#isClosed) return 'nothing';
    if (!this.#terms.isInitialized) return 'initialization';
    if (!this.#fabrics.isUsable) return 'connect';
    return this.#parser.isInsidePdu || this.#transfers.isOpen ? 'data' : 'nothing';
  }

  /** While it waits for data: the same mark for long means that the host sends none of what it was asked for. */
  get progressMark(): number {
    return this.#transfers.isOpen ? this.#transfers.progressMark : -1 - this.#receivedCount;
  }

  /** Takes bytes that arrived; the buffer is the queue's from now on. */
  receive(bytes: Buffer): void {
    this.#countReceived();
    this.#parser.receive(bytes);
  }

  /** Takes bytes that arrived in memory of the caller's. */
  receiveBorrowed(bytes: Buffer): void {
    this.#countReceived();
    this.#parser.receiveBorrowed(bytes);
  }

  /** Where a long payload that comes next belongs; `directReceived` must follow, also after the end. */
  tryReceiveDirect(): ReceiveSpace | undefined {
    const lengthBytes = this.#parser.directBytes;
    if (lengthBytes < nbdDirectPayloadBytesMin) return undefined;
    this.#transfers.directBegan();
    return { ...this.#parser.directTarget, lengthBytes };
  }

  /** So many bytes, perhaps none, have come to that place. */
  directReceived(lengthBytes: number): void {
    this.#transfers.directEnded();
    this.#countReceived();
    this.#parser.receivedDirect(lengthBytes);
  }

  #countReceived(): void {
    const { controller } = this.#fabrics;
    if (controller) controller.activityCount++;
    this.#receivedCount++;
  }

  /** The connection is gone, or half of it is: nothing goes out any more. */
  connectionLost(): void {
    this.#close(undefined, false);
  }

  close(reason: string): void {
    this.#close(reason, true);
  }

  /** Tells whether the host takes what it is sent. While it does not, no further command starts. */
  setOutputBlocked(isBlocked: boolean): void {
    if (this.#isOutputBlocked === isBlocked || this.#isClosed) return;
    this.#isOutputBlocked = isBlocked;
    this.#actions.setReading(!isBlocked);
    this.#transfers.setHeld(isBlocked);
    if (!isBlocked) this.#parser.resume();
  }

  headerArrived(shape: PduShape, header: Buffer): Buffer | PduViolation | undefined {
    switch (shape.type) {
      case PduType.CAPSULE_CMD:
        return this.#takeCapsule(shape, header);
      case PduType.H2C_DATA:
        return this.#transfers.takeHeader(shape, header);
      case PduType.IC_REQ: {
        const answer = answerIcReq(header, this.#terms);
        if ('fatalError' in answer) return answer;
        this.#actions.send(answer);
        return undefined;
      }
      default:
        return undefined;
    }
  }

  pduArrived(shape: PduShape, isDataGood: boolean): void {
    if (!isDataGood) this.#tally.dataDigestErrors++;
    switch (shape.type) {
      case PduType.CAPSULE_CMD:
        this.#takeCommand(isDataGood);
        return;
      case PduType.H2C_DATA: {
        const command = this.#transfers.dataArrived(shape.dataBytes, isDataGood);
        if (command) this.complete(command, NvmeStatus.TRANSIENT_TRANSPORT_ERROR);
        return;
      }
      case PduType.H2C_TERM_REQ:
        this.#close('the host ended the connection with H2CTermReq', true);
    }
  }

  violated(violation: PduViolation, header: Buffer): void {
    if (this.#isClosed) return;
    this.#tally.protocolErrors++;
    if (violation.fatalError === FatalError.HEADER_DIGEST_ERROR) this.#tally.headerDigestErrors++;
    this.#actions.send(encodeTermReq(violation, header));
    this.#close(violation.message, true);
  }

  complete(command: CommandSlot, status: NvmeStatusValue): void {
    this.#completeReply(command, { status });
  }

  completeRead(command: CommandSlot): void {
    if (!this.#isClosed) {
      this.#tally.answered(NvmeStatus.SUCCESS);
      this.#replies.sendRead(command);
    }
    this.#settle(command);
  }

  completeEvent(request: CommandSlot, result: number): void {
    this.#completeReply(request, { status: NvmeStatus.SUCCESS, result });
  }

  dropParked(requests: readonly CommandSlot[]): void {
    for (const request of requests) this.#settle(request);
  }

  whenRunningEnd(settled: () => void): void {
    let restCount = 1;
    const oneEnded = (): void => {
      restCount--;
      if (restCount === 0) settled();
    };
    for (const command of this.#slots.used()) {
      if (command.state !== 'executing') continue;
      restCount++;
      const { settled: others } = command;
      command.settled = () => {
        others?.();
        oneEnded();
      };
    }
    oneEnded();
  }

  #takeCapsule(shape: PduShape, header: Buffer): Buffer | PduViolation | undefined {
    const command = this.#slots.tryTake();
    if (!command) {
      const message = `more than ${this.#slots.usedCount} commands under way`;
      return { fatalError: FatalError.SEQUENCE_ERROR, information: 0, message };
    }
    command.load(header);
    if (this.#io) this.#tally.ioCommands++;
    else this.#tally.adminCommands++;
    command.state = 'receiving';
    this.#replies.commandFetched();
    const judged = judgeCapsule(command, shape.dataBytes);
    if (typeof judged === 'object') {
      this.#settle(command);
      return judged;
    }
    this.#incoming = command;
    this.#incomingStatus = judged === NvmeStatus.SUCCESS ? this.#judge(command) : judged;
    if (this.#incomingStatus !== NvmeStatus.SUCCESS || !command.hasHostData) return undefined;
    return shape.dataBytes > 0 ? this.#transfers.takeInCapsule(command) : undefined;
  }

  /** Status of a command that must not run. */
  #judge(command: CommandSlot): NvmeStatusValue {
    const status = this.#fabrics.judge(command);
    if (status !== NvmeStatus.SUCCESS || command.opcode === fabricsOpcode) return status;
    const controller = this.controller!;
    const { isReady } = controller.properties;
    if (!this.#io) return judgeAdmin(command, isReady);
    return isReady ? this.#io.judge(command) : NvmeStatus.COMMAND_SEQUENCE_ERROR;
  }

  #takeCommand(isDataGood: boolean): void {
    const command = this.#incoming;
    assert(command !== undefined, 'a command that was not announced');
    this.#incoming = undefined;
    if (this.#incomingStatus !== NvmeStatus.SUCCESS) this.complete(command, this.#incomingStatus);
    else if (!isDataGood) this.complete(command, NvmeStatus.TRANSIENT_TRANSPORT_ERROR);
    else if (command.data) this.#run(command);
    else this.#transfers.admit(command);
  }

  /** Runs a command whose data is here. */
  #run(command: CommandSlot): void {
    command.state = 'executing';
    this.#runningCount++;
    if (command.opcode === fabricsOpcode) this.#fabrics.run(command);
    else if (this.#io) this.#io.run(command);
    else {
      const reply = runAdmin(command, this.controller!);
      if (reply) this.#completeReply(command, reply);
      else if (command.state === 'executing') {
        command.state = 'parked';
        this.#runningCount--;
      }
    }
  }

  #connected(entries: number, hasNoSqFlow: boolean): void {
    const { queueId, controller } = this.#fabrics;
    this.#slots.setLimit(slotCount(queueId, entries));
    this.#replies.connected({ queueId, entries, hasNoSqFlow });
    const { attachment } = controller!;
    if (queueId > 0) this.#io = new IoCommands(attachment!.volume, this, this.#buffers);
  }

  #completeReply(command: CommandSlot, reply: CommandReply): void {
    if (!this.#isClosed) {
      this.#tally.answered(reply.status);
      this.#replies.send(command, reply);
    }
    this.#settle(command);
  }

  /** The command is over, answered or not. */
  #settle(command: CommandSlot): void {
    if (command.state === 'executing') this.#runningCount--;
    this.#transfers.giveBack(command);
    this.#slots.release(command);
    if (this.#isClosed) this.#endIfIdle();
    else this.#transfers.admitWaiting();
  }

  #handOver(command: CommandSlot, subsystemNqn: string): void {
    const actions = this.#actions;
    assert(
      actions.elsewhere !== undefined,
      'subsystems that are elsewhere have somebody to go on with',
    );
    this.#close(undefined, false);
    actions.elsewhere(subsystemNqn);
    this.#settle(command);
  }

  #close(reason: string | undefined, isConnected: boolean): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#parser.end();
    this.#incoming = undefined;
    if (isConnected) this.#actions.disconnect(reason);
    this.#transfers.clear();
    this.#io?.dropWaiting(this.#slots.used());
    this.#fabrics.closed();
    for (const command of this.#slots.used()) {
      if (command.state === 'executing') continue;
      this.#transfers.giveBack(command);
      this.#slots.release(command);
    }
    this.#endIfIdle();
  }

  #endIfIdle(): void {
    if (this.#hasEnded || this.#runningCount > 0) return;
    this.#hasEnded = true;
    this.#fabrics.drained();
    this.#actions.ended();
  }
}
