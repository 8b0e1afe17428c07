/**
 * A host of our own as a load: connects to a subsystem with as many I/O queues as asked for, writes all of the
 * namespace once, and then reads one load per line,
 * `read|write|randread|randwrite <block bytes> <queue depth> <queues> <writes per flush> <milliseconds>` (0: never
 * flushes), and answers each with the requests per second.
 */
import { createInterface } from 'node:readline';

import { assert } from '@varve/common/assert';
import { NvmeInitiator } from '@varve/storage-daemon/testing/nvme-initiator/nvme-initiator';
import type { QueuePair } from '@varve/storage-daemon/testing/nvme-initiator/queue-pair';

interface Load {
  readonly isWrite: boolean;
  readonly isRandom: boolean;
  readonly blocks: number;
  readonly queueDepth: number;
  readonly queues: number;
  readonly writesPerFlush: number;
  readonly ms: number;
}

const blockBytes = 4096;
const fillBytes = 128 * 1024;
const queuesMax = 4;
const inCapsuleBytesMax = 8192;
const opcodes = { flush: 0x00, write: 0x01, read: 0x02 } as const;

/** Keeps requests of one load under way. */
class LoadRun {
  readonly #load: Load;
  readonly #sizeBlocks: number;
  readonly #startMs = performance.now();
  readonly #finished: (requestsPerSecond: number) => void;
  readonly #data: Buffer;
  #underWay: number;
  #completed = 0;
  #nextBlock = 0;
  #isOver = false;

  constructor(load: Load, sizeBlocks: number, finished: (requestsPerSecond: number) => void) {
    this.#load = load;
    this.#sizeBlocks = sizeBlocks;
    this.#finished = finished;
    this.#data = Buffer.alloc(load.blocks * blockBytes, 9);
    this.#underWay = load.queues * load.queueDepth;
  }

  start(queues: readonly QueuePair[]): void {
    const { queueDepth } = this.#load;
    for (const queue of queues) for (let lane = 0; lane < queueDepth; lane++) this.#next(queue);
  }

  #next(queue: QueuePair): void {
    const { isWrite, blocks } = this.#load;
    const startLba = this.#chooseBlock();
    const command = {
      opcode: isWrite ? opcodes.write : opcodes.read,
      nsid: 1,
      dword10: startLba,
      dword12: blocks - 1,
    };
    const done = (completion: Parameters<Parameters<QueuePair['submit']>[2]>[0]): void => {
      assert(!(completion instanceof Error) && completion.status === 0, 'the target failed');
      this.#completedOn(queue);
    };
    if (!isWrite) queue.submit({ ...command, sglBytes: blocks * blockBytes }, undefined, done);
    else if (this.#data.length > inCapsuleBytesMax) queue.submit(command, this.#data, done);
    else queue.submit({ ...command, data: this.#data }, undefined, done);
  }

  #chooseBlock(): number {
    const { isRandom, blocks } = this.#load;
    const steps = Math.floor(this.#sizeBlocks / blocks);
    const step = isRandom ? Math.floor(Math.random() * steps) : this.#nextBlock++ % steps;
    return step * blocks;
  }

  #completedOn(queue: QueuePair): void {
    const { writesPerFlush, ms } = this.#load;
    this.#completed++;
    if (this.#completed % 16 === 0) this.#isOver = performance.now() - this.#startMs >= ms;
    if (writesPerFlush > 0 && this.#completed % writesPerFlush === 0) {
      queue.submit({ opcode: opcodes.flush, nsid: 1 }, undefined, () => this.#goOn(queue));
    } else this.#goOn(queue);
  }

  #goOn(queue: QueuePair): void {
    if (!this.#isOver) this.#next(queue);
    else if (--this.#underWay === 0) {
      this.#finished((this.#completed / (performance.now() - this.#startMs)) * 1000);
    }
  }
}

function parseLoad(line: string): Load {
  const [rw, ...numbers] = line.split(' ');
  const [bytes, queueDepth, queues, writesPerFlush, ms] = numbers.map(Number);
  return {
    isWrite: rw === 'write' || rw === 'randwrite',
    isRandom: rw === 'randread' || rw === 'randwrite',
    blocks: bytes! / blockBytes,
    queueDepth: queueDepth!,
    queues: queues!,
    writesPerFlush: writesPerFlush!,
    ms: ms!,
  };
}

const [host, port, subsystemNqn, hostNqn] = process.argv.slice(2);
const initiator = await NvmeInitiator.connect({
  host: host!,
  port: Number(port),
  subsystemNqn: subsystemNqn!,
  hostNqn: hostNqn!,
  ioQueues: queuesMax,
});
const sizeBlocks = await initiator.sizeBlocks();
const filler = Buffer.alloc(fillBytes, 7);
for (let lba = 0; lba < sizeBlocks; lba += fillBytes / blockBytes) {
  await initiator.write(lba, filler);
}
console.log('ready');
for await (const line of createInterface({ input: process.stdin })) {
  const load = parseLoad(line);
  const rate = await new Promise<number>((resolve) => {
    new LoadRun(load, sizeBlocks, resolve).start(initiator.io.slice(0, load.queues));
  });
  console.log(rate);
}
process.exit(0);
