/**
 * A guest whose kernel attaches volumes of a daemon on the host over NVMe/TCP, as a Kubernetes node does: with
 * nvme-cli, and nothing of ours in between. The guest sees the host's loopback interface as 10.0.2.2.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { PutHost } from '@varve/contract/host';
import { freePorts } from '../clusters/free-port.ts';
import { waitUntil } from '../process/wait-until.ts';
import { StorageDaemon } from '../product/storage-daemon.ts';
import { VirtualMachine } from './virtual-machine.ts';
import type { VmBench } from './vm-test.ts';

const memoryMib = 768;
const processors = 2;
const poolBytes = 8 * 2 ** 30;
const hostAddress = '10.0.2.2';
/** Connect answers within a second or two; the kernel itself gives up after a minute. */
const connectTimeoutMs = 90_000;
const appearTimeoutMs = 60_000;
/** The kernel tries again this often, in seconds, for the ten minutes of its default `ctrl_loss_tmo`. */
const reconnectDelaySeconds = 2;

/** What `nvme connect` is told besides where and what. */
export interface AttachOptions {
  readonly headerDigest?: boolean;
  readonly dataDigest?: boolean;
  /** Keys that the daemon is given with the grant. */
  readonly grant?: PutHost;
  /** Keys that the kernel is given; usually the same. */
  readonly hostKey?: string;
  readonly controllerKey?: string;
}

/** A volume that the guest's kernel has. */
export interface AttachedVolume {
  readonly id: string;
  readonly subsystemNqn: string;
  /** `/dev/nvme0n1`. */
  readonly device: string;
}

/** A daemon on the host and a guest as its client. */
export class Initiator {
  readonly machine: VirtualMachine;
  readonly daemon: StorageDaemon;
  readonly nvmePort: number;
  readonly #hostId = randomUUID();

  private constructor(machine: VirtualMachine, daemon: StorageDaemon, nvmePort: number) {
    this.machine = machine;
    this.daemon = daemon;
    this.nvmePort = nvmePort;
  }

  /** Starts both; the bench ends them. */
  static async start(bench: VmBench): Promise<Initiator> {
    const directory = join(bench.directory, 'daemon');
    mkdirSync(directory, { recursive: true });
    const [nvmePort = 0] = await freePorts(1);
    const daemon = new StorageDaemon({ name: 'host', directory, poolBytes, nvmePort });
    const machine = new VirtualMachine({
      image: bench.image,
      directory: bench.directory,
      memoryMib,
      processors,
      disks: [],
      namespaces: [],
      guestPorts: [],
    });
    const initiator = new Initiator(machine, daemon, nvmePort);
    bench.atEnd(async () => {
      await machine.powerCut();
      await daemon.kill();
    });
    bench.explainWith(async () => initiator.#explain());
    await daemon.start();
    await daemon.createPool();
    await machine.boot();
    await machine.run('modprobe nvme-tcp');
    return initiator;
  }

  /** The guest's name as an NVMe host. */
  get hostNqn(): string {
    return `nqn.2014-08.org.nvmexpress:uuid:${this.#hostId}`;
  }

  /** What `nvme discover` prints. */
  async discover(): Promise<string> {
    return this.machine.run(
      `nvme discover ${this.#target()} ${this.#identity()}`,
      connectTimeoutMs,
    );
  }

  /** Grants the guest a volume, connects it, and waits for its device. */
  async attach(id: string, options: AttachOptions = {}): Promise<AttachedVolume> {
    const { uuid } = await this.daemon.client.getVolume(id);
    const subsystemNqn = await this.grant(id, options.grant);
    await this.machine.run(this.connectCommand(subsystemNqn, options), connectTimeoutMs);
    const device = await waitUntil(
      `the device of ${id}`,
      async () => {
        const found = await this.machine.run(
          `shopt -s extglob
           for disk in /sys/block/nvme+([0-9])n+([0-9]); do
             if [ "$(cat $disk/uuid 2>/dev/null)" = ${uuid} ]; then echo /dev/\${disk##*/}; fi
           done`,
        );
        return found.trim() === '' ? undefined : found.trim();
      },
      { timeoutMs: appearTimeoutMs },
    );
    return { id, subsystemNqn, device };
  }

  /** Grants the guest a volume; returns the name of its subsystem. */
  async grant(id: string, keys: PutHost = {}): Promise<string> {
    const grant = { volume: id, hostNqn: this.hostNqn };
    const { subsystemNqn } = await this.daemon.client.putHost(grant, keys);
    return subsystemNqn;
  }

  /** Takes the grant back. */
  async revoke(id: string): Promise<void> {
    await this.daemon.client.deleteHost({ volume: id, hostNqn: this.hostNqn });
  }

  /** How the guest connects to a subsystem. */
  connectCommand(subsystemNqn: string, options: AttachOptions = {}): string {
    return [
      `nvme connect ${this.#target()} ${this.#identity()} --nqn=${subsystemNqn}`,
      `--reconnect-delay=${reconnectDelaySeconds}`,
      ...(options.headerDigest === true ? ['--hdr-digest'] : []),
      ...(options.dataDigest === true ? ['--data-digest'] : []),
      ...(options.hostKey === undefined ? [] : [`--dhchap-secret='${options.hostKey}'`]),
      ...(options.controllerKey === undefined
        ? []
        : [`--dhchap-ctrl-secret='${options.controllerKey}'`]),
    ].join(' ');
  }

  /** Disconnects a volume in the guest and takes the grant back. */
  async detach(volume: AttachedVolume): Promise<void> {
    await this.machine.run(`nvme disconnect --nqn=${volume.subsystemNqn}`, connectTimeoutMs);
    await this.revoke(volume.id);
  }

  /** Demands that the guest's kernel has reported no error of a block device or file system. */
  async expectNoKernelErrors(): Promise<void> {
    const pattern =
      'I/O error|Buffer I/O|EXT4-fs error|XFS .*(error|corrupt|shutdown)|Call Trace|BUG:';
    const { stdout } = await this.machine.tryRun(`dmesg | grep -E '${pattern}'`);
    assert.equal(stdout, '', "the guest's kernel reports no error");
  }

  #target(): string {
    return `--transport=tcp --traddr=${hostAddress} --trsvcid=${this.nvmePort}`;
  }

  /** Name and id belong together: the kernel refuses one that it has seen with another. */
  #identity(): string {
    return `--hostnqn=${this.hostNqn} --hostid=${this.#hostId}`;
  }

  async #explain(): Promise<string> {
    const messages = await this.machine
      .tryRun('dmesg | tail -n 60', 10_000)
      .then((result) => result.stdout)
      .catch(() => 'the guest does not answer');
    return `${this.daemon.logTail()}\n${this.machine.logTails()}\n--- dmesg of the guest\n${messages}`;
  }
}
