/**
 * A host of our own: connects as Linux does (admin queue, enable, identify, I/O queues), and reads and writes. For
 * tests and benchmarks; it checks everything that the target sends.
 */
import { DhchapHost } from '../../nvmf/auth/dhchap-host.ts';
import type { DhchapSecret } from '../../nvmf/auth/dhchap-secret.ts';
import { connectCommand, type HostDigests } from './host-pdu.ts';
import { type HostCompletion, type NewCommand, QueuePair } from './queue-pair.ts';

/** Whom to connect to, as whom, and how. */
export interface NvmeInitiatorOptions {
  readonly host: string;
  readonly port: number;
  readonly subsystemNqn: string;
  readonly hostNqn: string;
  /** 16 bytes; those of the host's UUID unless said otherwise. */
  readonly hostId?: Uint8Array;
  /** 1 by default; 0 for discovery. */
  readonly ioQueues?: number;
  /** 128 by default. */
  readonly entries?: number;
  readonly digests?: HostDigests;
  readonly hasNoSqFlow?: boolean;
  readonly keepAliveMs?: number;
  readonly secret?: DhchapSecret;
  readonly controllerSecret?: DhchapSecret;
}

/** A completion that was no success. */
export class NvmeStatusError extends Error {
  override readonly name = 'NvmeStatusError';
  readonly status: number;
  readonly mayRetry: boolean;
  readonly result: number;

  constructor(action: string, { status, mayRetry, result }: HostCompletion) {
    super(`${action} failed: status 0x${status.toString(16)}`);
    this.status = status;
    this.mayRetry = mayRetry;
    this.result = result;
  }
}

const blockBytes = 4096;
const inCapsuleBytesMax = 8192;
const discoveryNqn = 'nqn.2014-08.org.nvmexpress.discovery';

/** Throws unless the command succeeded. */
export function requireSuccess(action: string, completion: HostCompletion): HostCompletion {
  if (completion.status !== 0) throw new NvmeStatusError(action, completion);
  return completion;
}

/** What a discovery log page says of one subsystem. */
export interface DiscoveredSubsystem {
  readonly nqn: string;
  readonly address: string;
  readonly port: number;
}

/** A connected controller. */
export class NvmeInitiator {
  readonly admin: QueuePair;
  readonly io: QueuePair[] = [];
  readonly controllerId: number;
  readonly #options: NvmeInitiatorOptions;
  #keepAliveTimer: NodeJS.Timeout | undefined;

  private constructor(options: NvmeInitiatorOptions, admin: QueuePair, controllerId: number) {
    this.#options = options;
    this.admin = admin;
    this.controllerId = controllerId;
  }

  /** Connects all queues. */
  static async connect(options: NvmeInitiatorOptions): Promise<NvmeInitiator> {
    const admin = await QueuePair.open(options);
    try {
      const controllerId = await connectQueue(options, admin, { queueId: 0 });
      const made = new NvmeInitiator(options, admin, controllerId);
      await made.#enable();
      await made.#openIoQueues();
      made.#keepAlive();
      return made;
    } catch (error) {
      await admin.close();
      throw error;
    }
  }

  /** Reads the discovery log page. */
  static async discover(
    options: Omit<NvmeInitiatorOptions, 'subsystemNqn' | 'ioQueues'>,
  ): Promise<readonly DiscoveredSubsystem[]> {
    const discovery = await NvmeInitiator.connect({
      ...options,
      subsystemNqn: discoveryNqn,
      ioQueues: 0,
    });
    const header = await discovery.readLog(0x70, 1024);
    const count = Number(header.readBigUInt64LE(8));
    const page = await discovery.readLog(0x70, 1024 * (count + 1));
    await discovery.close();
    return Array.from({ length: count }, (_, index) => {
      const entry = page.subarray(1024 * (index + 1), 1024 * (index + 2));
      const text = (from: number, to: number): string =>
        entry.toString('latin1', from, to).replace(/[\0 ]+$/, '');
      return { nqn: text(256, 512), address: text(512, 768), port: Number(text(32, 64)) };
    });
  }

  /** Namespace size in blocks, as Identify says now. */
  async sizeBlocks(): Promise<number> {
    return Number((await this.identify(0x00, 1)).readBigUInt64LE(0));
  }

  async identify(cns: number, nsid = 0): Promise<Buffer> {
    const command = { opcode: 0x06, nsid, dword10: cns, sglBytes: 4096 };
    return requireSuccess(`Identify ${cns}`, await this.admin.command(command)).data;
  }

  /** A log page from its start; events are not retained. */
  async readLog(page: number, lengthBytes: number): Promise<Buffer> {
    const dwords = lengthBytes / 4 - 1;
    const completion = await this.admin.command({
      opcode: 0x02,
      dword10: (page | ((dwords & 0xffff) << 16)) >>> 0,
      dword11: Math.floor(dwords / 0x1_0000),
      sglBytes: lengthBytes,
    });
    return requireSuccess(`Get Log Page ${page}`, completion).data;
  }

  async setFeature(feature: number, value: number): Promise<number> {
    const command = { opcode: 0x09, dword10: feature, dword11: value };
    return requireSuccess(`Set Features ${feature}`, await this.admin.command(command)).result;
  }

  /** Asks for the next asynchronous event; resolves with its DW0. */
  async nextEvent(): Promise<number> {
    return requireSuccess('Event', await this.admin.command({ opcode: 0x0c })).result;
  }

  async read(startLba: number, blockCount: number, queue = 0): Promise<Buffer> {
    const sglBytes = blockCount * blockBytes;
    const command = { ...range(0x02, startLba, blockCount), sglBytes };
    return requireSuccess('Read', await this.io[queue]!.command(command)).data;
  }

  /** In the capsule if it is small enough. */
  async write(
    startLba: number,
    data: Uint8Array,
    { fua = false, queue = 0 }: { readonly fua?: boolean; readonly queue?: number } = {},
  ): Promise<void> {
    const command = range(0x01, startLba, data.length / blockBytes, fua ? 0x4000_0000 : 0);
    requireSuccess('Write', await this.#sendData(command, data, queue));
  }

  async flush(queue = 0): Promise<void> {
    requireSuccess('Flush', await this.io[queue]!.command({ opcode: 0x00, nsid: 1 }));
  }

  async writeZeroes(startLba: number, blockCount: number): Promise<void> {
    const command = range(0x08, startLba, blockCount, 0x0200_0000);
    requireSuccess('Write Zeroes', await this.io[0]!.command(command));
  }

  async verify(startLba: number, blockCount: number): Promise<void> {
    requireSuccess('Verify', await this.io[0]!.command(range(0x0c, startLba, blockCount)));
  }

  /** Deallocates ranges of blocks. */
  async deallocate(ranges: readonly (readonly [startLba: number, count: number])[]): Promise<void> {
    const data = Buffer.alloc(16 * ranges.length);
    ranges.forEach(([startLba, count], index) => {
      data.writeUInt32LE(count, 16 * index + 4);
      data.writeBigUInt64LE(BigInt(startLba), 16 * index + 8);
    });
    const command = { opcode: 0x09, nsid: 1, dword10: ranges.length - 1, dword11: 4 };
    requireSuccess('Dataset Management', await this.#sendData(command, data, 0));
  }

  /** False if the blocks hold something else. */
  async compare(startLba: number, data: Uint8Array): Promise<boolean> {
    const command = range(0x05, startLba, data.length / blockBytes);
    const completion = await this.#sendData(command, data, 0);
    if (completion.status === 0x285) return false;
    requireSuccess('Compare', completion);
    return true;
  }

  /** Shuts the controller down as `nvme disconnect` does: I/O queues first, then SHN, then the admin queue. */
  async close(): Promise<void> {
    clearInterval(this.#keepAliveTimer);
    await Promise.all(this.io.map((queue) => queue.close()));
    await this.#setProperty(0x14, 0x46_4001);
    while (((await this.#getProperty(0x1c)).result & 0xc) !== 0x8) continue;
    await this.admin.close();
  }

  /** Cuts all connections at once. */
  async abandon(): Promise<void> {
    clearInterval(this.#keepAliveTimer);
    await Promise.all([this.admin, ...this.io].map((queue) => queue.close()));
  }

  #sendData(command: NewCommand, data: Uint8Array, queue: number): Promise<HostCompletion> {
    const pair = this.io[queue]!;
    if (data.length <= inCapsuleBytesMax) return pair.command({ ...command, data });
    return pair.command(command, data);
  }

  async #enable(): Promise<void> {
    const capabilities = await this.#getProperty(0x00, true);
    if ((capabilities.resultHigh & 0x20) === 0) throw new Error('no NVM command set');
    await this.#setProperty(0x14, 0x46_0000);
    await this.#setProperty(0x14, 0x46_0001);
    while (((await this.#getProperty(0x1c)).result & 1) === 0) continue;
    const controllerId = (await this.identify(0x01)).readUInt16LE(78);
    if (controllerId !== this.controllerId) throw new Error(`CNTLID ${controllerId}`);
  }

  async #openIoQueues(): Promise<void> {
    const { ioQueues = 1 } = this.#options;
    if (ioQueues === 0) return;
    const wanted = ioQueues - 1;
    const granted = (await this.setFeature(0x07, wanted | (wanted << 16))) & 0xffff;
    const { controllerId } = this;
    for (let queueId = 1; queueId <= Math.min(ioQueues, granted + 1); queueId++) {
      const queue = await QueuePair.open(this.#options);
      this.io.push(queue);
      await connectQueue(this.#options, queue, { queueId, controllerId });
    }
  }

  #keepAlive(): void {
    const { keepAliveMs = 5000 } = this.#options;
    if (keepAliveMs === 0) return;
    this.#keepAliveTimer = setInterval(() => {
      this.admin.submit({ opcode: 0x18 }, undefined, () => undefined);
    }, keepAliveMs / 2).unref();
  }

  async #getProperty(offset: number, isEightBytes = false): Promise<HostCompletion> {
    const command = { opcode: 0x7f, nsid: 0x04, dword10: isEightBytes ? 1 : 0, dword11: offset };
    return requireSuccess('Property Get', await this.admin.command(command));
  }

  async #setProperty(offset: number, value: number): Promise<void> {
    const command = { opcode: 0x7f, nsid: 0x00, dword11: offset, dword12: value };
    requireSuccess('Property Set', await this.admin.command(command));
  }
}

function range(opcode: number, startLba: number, blockCount: number, controlBits = 0) {
  return {
    opcode,
    nsid: 1,
    dword10: startLba >>> 0,
    dword11: Math.floor(startLba / 2 ** 32),
    dword12: (controlBits | (blockCount - 1)) >>> 0,
  };
}

/** Connects, and authenticates if the controller wants that. Returns the controller's id. */
async function connectQueue(
  options: NvmeInitiatorOptions,
  queue: QueuePair,
  { queueId, controllerId = 0xffff }: { readonly queueId: number; readonly controllerId?: number },
): Promise<number> {
  const { subsystemNqn, hostNqn, keepAliveMs = 5000, hasNoSqFlow = false, entries = 128 } = options;
  const hostId = options.hostId ?? hostIdOf(hostNqn);
  const connect = connectCommand({
    commandId: 0,
    queueId,
    entries: queueId === 0 ? 32 : entries,
    controllerId,
    subsystemNqn,
    hostNqn,
    hostId,
    keepAliveMs: queueId === 0 ? keepAliveMs : 0,
    hasNoSqFlow,
  });
  const { result } = requireSuccess('Connect', await queue.command(connect));
  if ((result & 0x2_0000) !== 0) await authenticate(options, queue);
  return result & 0xffff;
}

/** Proves who the host is (DH-HMAC-CHAP), and has the controller prove itself if there is a secret for that. */
async function authenticate(options: NvmeInitiatorOptions, queue: QueuePair): Promise<void> {
  const { hostNqn, subsystemNqn, secret, controllerSecret } = options;
  if (!secret) throw new Error('the controller wants authentication and there is no secret');
  const host = new DhchapHost({ hostNqn, subsystemNqn, hostSecret: secret, controllerSecret });
  const dword10 = 0xe901_0100;
  let message: Buffer | undefined = host.negotiate();
  while (message) {
    const send = { opcode: 0x7f, nsid: 0x05, dword10, dword11: message.length, data: message };
    requireSuccess('Authentication Send', await queue.command(send));
    if (host.state === 'done' || host.state === 'failed') break;
    const receive = { opcode: 0x7f, nsid: 0x06, dword10, dword11: 4096, sglBytes: 4096 };
    const { data } = requireSuccess('Authentication Receive', await queue.command(receive));
    message = host.answer(data);
  }
  if (host.state !== 'done') throw new Error(`authentication failed: ${host.failure}`);
}

function hostIdOf(hostNqn: string): Buffer {
  return Buffer.from(hostNqn.slice(-36).replaceAll('-', ''), 'hex');
}
