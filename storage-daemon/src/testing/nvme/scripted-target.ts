/**
 * A target with one volume in memory, and connections to it whose actions are recorded. Requests on the volume complete
 * when the test says so.
 */
import { nbdOutputBatchBytes } from '../../limits.ts';
import type { IoBufferPool } from '../../nbd/io-buffer.ts';
import { OutputBatch } from '../../nbd/output-batch.ts';
import type { Reply } from '../../nbd/output-queue.ts';
import { NvmeTarget } from '../../nvmf/nvme-target.ts';
import type {
  NvmeAttachment,
  NvmeHost,
  NvmeRefusal,
  NvmeSecrets,
  NvmeVolume,
} from '../../nvmf/ports.ts';
import { NvmeQueue } from '../../nvmf/queue/nvme-queue.ts';
import {
  type ControllerPdu,
  ControllerPduReader,
} from '../nvme-initiator/controller-pdu-reader.ts';
import {
  connectCommand,
  encodeCapsule,
  encodeIcReq,
  type HostCommand,
  type HostConnect,
  type HostDigests,
  noDigests,
} from '../nvme-initiator/host-pdu.ts';
import { HeldVolume } from '../scripted-nbd-session.ts';

/** The subsystem of the volume. */
export const scriptedNqn = 'nqn.2026-11.dev.varve:volume:00112233-4455-6677-8899-aabbccddeeff';
/** A host that may attach it. */
export const scriptedHostNqn =
  'nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555';
const hostId = Buffer.from('11111111222233334444555555555555', 'hex');
const volumeUuid = Buffer.from('00112233445566778899aabbccddeeff', 'hex');

class ScriptedVolume extends HeldVolume {
  isReadOnly = false;

  get sizeBytes(): number {
    return this.content.length;
  }
}

/** The target. */
export class ScriptedTarget {
  /** Unless the test brought a volume of its own. */
  readonly volume: ScriptedVolume;
  readonly target: NvmeTarget;
  /** What the next attach answers instead. */
  refusal: NvmeRefusal | undefined;
  /** What hosts must prove. */
  secrets: NvmeSecrets | undefined;
  /** Volumes that were opened and not given back. */
  openCount = 0;
  readonly #attached: NvmeVolume;
  evict: (reason: string) => void = () => {};

  constructor({ volume }: { readonly volume?: NvmeVolume } = {}) {
    this.volume = new ScriptedVolume(4 * 1024 * 1024);
    this.#attached = volume ?? this.volume;
    this.target = new NvmeTarget(
      { firmwareRevision: '1.2.3' },
      {
        subsystems: {
          attach: (nqn, host, evicted) => this.#attach(nqn, host, evicted),
          visibleTo: (hostNqn) => (hostNqn === scriptedHostNqn ? [scriptedNqn] : []),
        },
      },
    );
  }

  #attach(
    nqn: string,
    host: NvmeHost,
    evicted: (reason: string) => void,
  ): NvmeAttachment | NvmeRefusal {
    if (this.refusal) return this.refusal;
    if (nqn !== scriptedNqn) return 'unknown';
    if (host.nqn !== scriptedHostNqn) return 'forbidden';
    this.openCount++;
    this.evict = evicted;
    return {
      uuid: volumeUuid,
      volume: this.#attached,
      secrets: this.secrets,
      close: () => void this.openCount--,
    };
  }

  /** A connection that has sent nothing yet. */
  accept(options: { readonly h2cDataBytesMax?: number } = {}): ScriptedQueue {
    return new ScriptedQueue(this.target, options);
  }

  /** A connected admin queue of an enabled controller. */
  connectAdmin(
    connect: Partial<HostConnect> = {},
    digests: HostDigests = noDigests,
  ): ScriptedQueue {
    const admin = this.accept();
    admin.initialize(digests);
    admin.ask(connectCommand(fillConnect(connect)));
    admin.ask(propertySet(0x14, 0x46_0001));
    return admin;
  }

  /** A connected I/O queue of a new controller, and its admin queue. */
  connectIo(
    connect: Partial<HostConnect> = {},
    options: { readonly h2cDataBytesMax?: number; readonly digests?: HostDigests } = {},
  ): { readonly admin: ScriptedQueue; readonly io: ScriptedQueue } {
    const admin = this.connectAdmin();
    admin.ask({ opcode: 0x09, commandId: 7, dword10: 7, dword11: 0x3_0003 });
    const { controllerId } = admin.queue.controller!.identity;
    const io = this.accept(options);
    io.initialize(options.digests);
    io.ask(connectCommand(fillConnect({ controllerId, queueId: 1, entries: 32, ...connect })));
    return { admin, io };
  }
}

/** A Connect of the admin queue unless said otherwise. */
export function fillConnect(connect: Partial<HostConnect>): HostConnect {
  return {
    commandId: 0,
    queueId: 0,
    entries: 32,
    controllerId: 0xffff,
    subsystemNqn: scriptedNqn,
    hostNqn: scriptedHostNqn,
    hostId,
    keepAliveMs: 5000,
    ...connect,
  };
}

/** Writes four bytes of a property. */
export function propertySet(offset: number, value: number): HostCommand {
  return { opcode: 0x7f, nsid: 0x00, commandId: 0x2001, dword11: offset, dword12: value };
}

/** Reads a property. */
export function propertyGet(offset: number, isEightBytes = false): HostCommand {
  const dword10 = isEightBytes ? 1 : 0;
  return { opcode: 0x7f, nsid: 0x04, commandId: 0x2002, dword10, dword11: offset };
}

/** A completion as tests compare it. */
export interface Answer {
  readonly commandId: number;
  /** As on the wire, in hexadecimal. */
  readonly status: string;
  readonly result: number;
  readonly resultHigh: number;
  readonly sqHead: number;
  readonly data: Buffer;
}

/** One connection. */
export class ScriptedQueue {
  readonly queue: NvmeQueue;
  readonly reader = new ControllerPduReader();
  /** `reading off`, `disconnect <reason>`, `ended`, in order. */
  readonly events: string[] = [];
  /** All that was sent, as it left. */
  readonly sent: Buffer[] = [];

  constructor(target: NvmeTarget, options: { readonly h2cDataBytesMax?: number }) {
    this.queue = new NvmeQueue(
      { localAddress: { family: 4, address: '192.0.2.1', port: 4420 }, ...options },
      {
        target,
        actions: {
          send: (item) => {
            const bytes = item instanceof Uint8Array ? item : encodeReply(item, target.buffers);
            this.sent.push(bytes);
            this.reader.push(bytes);
          },
          setReading: (isReading) => this.events.push(isReading ? 'reading on' : 'reading off'),
          disconnect: (reason) => this.events.push(`disconnect ${reason ?? 'cleanly'}`),
          ended: () => this.events.push('ended'),
        },
      },
    );
  }

  /** ICReq and its answer. */
  initialize(digests: HostDigests = noDigests): void {
    this.queue.receive(encodeIcReq(digests));
    this.reader.tryTake();
  }

  /** Sends a command. */
  send(command: HostCommand): void {
    this.queue.receive(encodeCapsule(command, this.reader.digests));
  }

  /** All PDUs that came. */
  take(): ControllerPdu[] {
    const found: ControllerPdu[] = [];
    for (let pdu = this.reader.tryTake(); pdu; pdu = this.reader.tryTake()) found.push(pdu);
    return found;
  }

  /** All completions that came, each with the data in front of it. */
  answers(): Answer[] {
    const answers: Answer[] = [];
    let data: Buffer[] = [];
    for (const pdu of this.take()) {
      if (pdu.type === 7) data.push(pdu.data);
      const isSuccess = (pdu.flags & 8) !== 0;
      if (pdu.type === 7 && !isSuccess) continue;
      if (pdu.type !== 5 && pdu.type !== 7) throw new Error(`PDU type ${pdu.type}`);
      answers.push(readAnswer(pdu, Buffer.concat(data)));
      data = [];
    }
    return answers;
  }

  /** Sends a command that completes at once, and returns its completion. */
  ask(command: HostCommand): Answer {
    this.send(command);
    const [answer, ...others] = this.answers();
    if (!answer || others.length > 0) throw new Error(`${others.length} answers too many`);
    return answer;
  }

  /** The last C2HTermReq: fatal error and information. */
  term(): { readonly fatalError: number; readonly information: number } | undefined {
    const pdu = this.take().at(-1);
    if (pdu?.type !== 3) return undefined;
    return { fatalError: pdu.header.readUInt16LE(8), information: pdu.header.readUInt32LE(10) };
  }
}

/** As it would leave. */
function encodeReply(reply: Reply, buffers: IoBufferPool): Buffer {
  const batch = new OutputBatch(Buffer.allocUnsafe(nbdOutputBatchBytes));
  const { replyBytes } = reply;
  if (!reply.tryEncode(batch)) throw new Error('an empty batch has room for a reply');
  const pieces = batch.pieces.slice(0, batch.pieceCount);
  const bytes = Buffer.concat(
    pieces.map(({ bytes: from, start, lengthBytes }) => from.subarray(start, start + lengthBytes)),
  );
  if (bytes.length !== replyBytes)
    throw new Error(`${bytes.length} bytes instead of ${replyBytes}`);
  batch.clear(buffers);
  return bytes;
}

function readAnswer({ type, header }: ControllerPdu, data: Buffer): Answer {
  const isCompletion = type === 5;
  return {
    commandId: isCompletion ? header.readUInt16LE(20) : header.readUInt16LE(8),
    status: isCompletion ? header.readUInt16LE(22).toString(16).padStart(4, '0') : '0000',
    result: isCompletion ? header.readUInt32LE(8) : 0,
    resultHigh: isCompletion ? header.readUInt32LE(12) : 0,
    sqHead: isCompletion ? header.readUInt16LE(16) : 0,
    data,
  };
}
