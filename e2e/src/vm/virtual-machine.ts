/**
 * A QEMU guest under software emulation (no /dev/kvm is assumed): started, told to run scripts, cut off from its
 * power, started again on the same disks.
 *
 * Its root disk forgets everything at each start. What must stay is on the disks that the test brings.
 */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts } from '../clusters/free-port.ts';
import { CommandError } from '../process/run-command.ts';
import { ManagedProcess, logTail } from '../process/managed-process.ts';
import { GuestAgent, type GuestResult } from './guest-agent.ts';
import type { GuestImage } from './image/guest-image.ts';

/** Boots take 5 to 10 s; ten times that on a busy machine. */
const bootTimeoutMs = 120_000;
const defaultScriptTimeoutMs = 60_000;
const shutdownTimeoutMs = 30_000;
/** A port that was free may be taken by another program before QEMU has it. */
const startAttemptsMax = 3;
const logLines = 40;

const kernelParameters = [
  'console=ttyS0 quiet loglevel=5',
  // A panic ends the machine at once.
  'panic=-1',
  // Emulation pays dearly for these, and nothing here needs them.
  'mitigations=off',
  // On a busy host ticks come late and processors stand still: nothing to stop or complain about.
  'no_timer_check tsc=unstable nowatchdog rcupdate.rcu_cpu_stall_suppress=1',
];

/** A namespace of the guest's emulated NVMe controller, in the order of their numbers. */
export interface NvmeNamespace {
  /** The NBD server's socket, and the export that holds the namespace's data. */
  readonly socket: string;
  readonly exportName: string;
  readonly sectorBytes: number;
}

/** What the machine is made of. */
export interface VirtualMachineOptions {
  readonly image: GuestImage;
  /** For its logs and sockets. */
  readonly directory: string;
  readonly memoryMib: number;
  readonly processors: number;
  /** Disks on virtio, by serial number; the guest finds them in /run/disks. */
  readonly disks: readonly { readonly serial: string; readonly source: DiskSource }[];
  /** Namespaces of one NVMe controller: /dev/nvme0n1, /dev/nvme0n2 ... */
  readonly namespaces: readonly NvmeNamespace[];
  /** TCP ports of the guest that the host reaches on loopback. */
  readonly guestPorts: readonly number[];
}

/** Where a disk's data are: a read-only file, or an NBD export. */
export type DiskSource =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'nbd'; readonly socket: string; readonly exportName: string };

/** One guest. */
export class VirtualMachine {
  readonly #options: VirtualMachineOptions;
  #process: ManagedProcess | undefined;
  #agent: GuestAgent | undefined;
  #hostPorts: readonly number[] = [];

  constructor(options: VirtualMachineOptions) {
    this.#options = options;
  }

  /** Starts it and waits until it runs scripts; returns how long that took. */
  async boot(): Promise<number> {
    assert.ok(this.#process === undefined || this.#process.exit !== undefined, 'it is off');
    mkdirSync(this.#options.directory, { recursive: true });
    const startMs = performance.now();
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#start();
        return performance.now() - startMs;
      } catch (error) {
        await this.powerCut();
        const portTaken = this.logTails().includes('Could not set up host forwarding');
        if (!portTaken || attempt === startAttemptsMax) throw error;
      }
    }
  }

  /** Where the host reaches a port of the guest. */
  hostPort(guestPort: number): number {
    const port = this.#hostPorts[this.#options.guestPorts.indexOf(guestPort)];
    assert.ok(port !== undefined, `guest port ${guestPort} is not forwarded`);
    return port;
  }

  /** Runs a bash script in the guest; one that takes too long is an error, and goes on there. */
  async tryRun(script: string, timeoutMs = defaultScriptTimeoutMs): Promise<GuestResult> {
    const agent = this.#agent;
    assert.ok(agent !== undefined, 'the machine runs');
    const finished = new AbortController();
    const limit = sleep(timeoutMs, undefined, { signal: finished.signal }).then(
      () => {
        throw new Error(`In the guest, "${script}" took more than ${timeoutMs / 1000} s`);
      },
      () => undefined as never,
    );
    try {
      return await Promise.race([agent.run(script), limit]);
    } finally {
      finished.abort();
    }
  }

  /** Runs a bash script (-e, -o pipefail) in the guest and demands exit code 0; returns what it printed. */
  async run(script: string, timeoutMs = defaultScriptTimeoutMs): Promise<string> {
    const result = await this.tryRun(`set -eo pipefail\n${script}`, timeoutMs);
    if (result.code !== 0) throw new CommandError(`In the guest, "${script}"`, result);
    return result.stdout;
  }

  /** Writes a small file in the guest. */
  async writeFile(path: string, content: string): Promise<void> {
    const base64 = Buffer.from(content).toString('base64');
    await this.run(`base64 -d >'${path}' <<<'${base64}'`);
  }

  /** Ends it as the loss of power does. What its disks had not flushed is the disks' own affair. */
  async powerCut(): Promise<void> {
    await this.#process?.kill();
    this.#agent?.close();
    this.#agent = undefined;
  }

  /** Syncs and powers off. */
  async shutDown(): Promise<void> {
    // The answer may be lost with the machine.
    await this.tryRun('sync; busybox poweroff -f', shutdownTimeoutMs).catch(() => undefined);
    await this.powerCut();
  }

  /** The ends of its logs: what a failed test shows. */
  logTails(): string {
    const { directory } = this.#options;
    return ['qemu', 'console']
      .map((name) => logTail(name, join(directory, `${name}.log`), logLines))
      .join('\n');
  }

  async #start(): Promise<void> {
    const { directory, guestPorts } = this.#options;
    const agentSocket = join(directory, 'agent.sock');
    const agent = await GuestAgent.listen(agentSocket);
    this.#agent = agent;
    this.#hostPorts = await freePorts(guestPorts.length);
    this.#process = new ManagedProcess({
      name: 'qemu',
      command: 'qemu-system-x86_64',
      args: this.#arguments(agentSocket),
      logFile: join(directory, 'qemu.log'),
    });
    await this.#process.waitUntil(
      'the guest to start',
      async () => (agent.isReady ? true : undefined),
      bootTimeoutMs,
    );
  }

  #arguments(agentSocket: string): readonly string[] {
    const { image, directory, memoryMib, processors } = this.#options;
    const kernelArguments = kernelParameters.join(' ');
    return [
      ['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none'],
      ['-machine', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'Nehalem'],
      ['-smp', String(processors), '-m', String(memoryMib)],
      ['-kernel', image.kernel, '-initrd', image.initramfs, '-append', kernelArguments],
      ['-chardev', `file,id=console,path=${join(directory, 'console.log')},append=on`],
      ['-serial', 'chardev:console'],
      ['-device', 'virtio-rng-pci', '-device', 'virtio-serial-pci'],
      ['-chardev', `socket,id=agent,path=${agentSocket}`],
      ['-device', 'virtserialport,chardev=agent,name=varve.agent'],
      ['-netdev', `user,id=net0${this.#forwards()}`],
      ['-device', 'virtio-net-pci,netdev=net0,romfile='],
      ['-drive', `if=none,id=root,format=raw,file=${image.root},snapshot=on,cache=unsafe`],
      ['-device', 'virtio-blk-pci,drive=root,serial=root'],
      this.#diskArguments(),
      this.#nvmeArguments(),
    ].flat();
  }

  #forwards(): string {
    return this.#options.guestPorts
      .map((port) => `,hostfwd=tcp:127.0.0.1:${this.hostPort(port)}-:${port}`)
      .join('');
  }

  #diskArguments(): readonly string[] {
    return this.#options.disks.flatMap(({ serial, source }) => [
      '-blockdev',
      source.kind === 'file'
        ? `driver=raw,node-name=${serial},read-only=on,file.driver=file,file.filename=${source.path},file.read-only=on`
        : nbdNode(serial, source),
      '-device',
      `virtio-blk-pci,drive=${serial},serial=${serial}`,
    ]);
  }

  #nvmeArguments(): readonly string[] {
    const { namespaces } = this.#options;
    if (namespaces.length === 0) return [];
    const parts = namespaces.flatMap((namespace, index) => {
      const { sectorBytes } = namespace;
      const node = `namespace-${index + 1}`;
      const blocks = `logical_block_size=${sectorBytes},physical_block_size=${sectorBytes}`;
      return [
        ['-blockdev', nbdNode(node, namespace)],
        ['-device', `nvme-ns,bus=nvme0,drive=${node},nsid=${index + 1},${blocks}`],
      ];
    });
    return [['-device', 'nvme,id=nvme0,serial=varve-nvme'], ...parts].flat();
  }
}

function nbdNode(
  name: string,
  source: { readonly socket: string; readonly exportName: string },
): string {
  const server = `server.type=unix,server.path=${source.socket},export=${source.exportName}`;
  return `driver=nbd,node-name=${name},discard=unmap,${server}`;
}
