/**
 * A storage node: the daemon in a guest, on two raw namespaces of an NVMe controller, each with a cache that a
 * power cut really empties. The host reaches REST and NBD through two forwarded ports.
 */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DaemonClient } from '@varve/contract/client/daemon-client';
import type { SeededRandom } from '@varve/storage-daemon/testing/seeded-random';
import { tryCommand } from '../process/run-command.ts';
import { waitUntil } from '../process/wait-until.ts';
import { programs } from '../product/programs.ts';
import { DiskServer } from './disk/disk-server.ts';
import { VolatileDisk } from './disk/volatile-disk.ts';
import type { GuestImage } from './image/guest-image.ts';
import { productPaths } from './image/product-image.ts';
import { NbdClient } from './nbd-client.ts';
import { VirtualMachine } from './virtual-machine.ts';

/** Threads, and rings with what is under way on them: where a daemon that answers nothing is stuck. */
const whatDaemonDoes = `
  pid=$(cat /run/varve.pid)
  for task in /proc/$pid/task/*; do echo "$(cat $task/comm) $(cat $task/wchan) $(cut -d' ' -f3,14,15 $task/stat)"; done
  grep . /sys/block/nvme*n1/inflight
  for fd in /proc/$pid/fd/*; do
    case $(readlink $fd) in
      *io_uring*|*eventfd*) echo "$fd $(readlink $fd)"; head -n 40 /proc/$pid/fdinfo/\${fd##*/};;
    esac
  done`;

const namespaceBytes = 384 * 2 ** 20;
const stateDiskBytes = 32 * 2 ** 20;
const memoryMib = 1024;
const processors = 2;
const restPort = 8080;
const nbdPort = 10809;
const readyTimeoutMs = 90_000;
const stopTimeoutMs = 60_000;
const checkTimeoutMs = 120_000;
const stateFolder = '/var/lib/varve';
const daemonLog = `${stateFolder}/varve-storaged.log`;

/** The raw namespaces, as the guest's kernel names them. */
export const namespacePaths = ['/dev/nvme0n1', '/dev/nvme0n2'] as const;

/** What a node is made of. */
export interface StorageNodeOptions {
  readonly image: GuestImage;
  readonly productImage: string;
  readonly directory: string;
  readonly sectorBytes: 512 | 4096;
  /** Serves NVMe/TCP to the guest itself. */
  readonly nvmePort?: number;
}

/** A guest with its disks. */
export class StorageNode {
  readonly machine: VirtualMachine;
  #client: DaemonClient | undefined;
  readonly #namespaces: readonly VolatileDisk[];
  readonly #disks: ReadonlyMap<string, VolatileDisk>;
  readonly #server: DiskServer;
  readonly #nvmePort: number | undefined;

  private constructor(
    { machine, nvmePort }: { readonly machine: VirtualMachine; readonly nvmePort?: number },
    disks: ReadonlyMap<string, VolatileDisk>,
    server: DiskServer,
  ) {
    this.machine = machine;
    this.#nvmePort = nvmePort;
    this.#disks = disks;
    this.#server = server;
    this.#namespaces = [...disks].filter(([name]) => name !== 'state').map(([, disk]) => disk);
  }

  /** Makes the disks and boots; nothing is on them yet. */
  static async create(options: StorageNodeOptions): Promise<StorageNode> {
    const { directory, sectorBytes } = options;
    mkdirSync(directory, { recursive: true });
    const disk = (name: string, sizeBytes: number, sector: number): [string, VolatileDisk] => {
      const file = join(directory, `${name}.img`);
      return [name, new VolatileDisk({ file, sizeBytes, sectorBytes: sector })];
    };
    const disks = new Map([
      disk('namespace-1', namespaceBytes, sectorBytes),
      disk('namespace-2', namespaceBytes, sectorBytes),
      disk('state', stateDiskBytes, 512),
    ]);
    const server = await DiskServer.listen(join(directory, 'disks.sock'), disks);
    const socket = server.socketPath;
    const machine = new VirtualMachine({
      image: options.image,
      directory,
      memoryMib,
      processors,
      disks: [
        { serial: 'product', source: { kind: 'file', path: options.productImage } },
        { serial: 'state', source: { kind: 'nbd', socket, exportName: 'state' } },
      ],
      namespaces: ['namespace-1', 'namespace-2'].map((exportName) => ({
        socket,
        exportName,
        sectorBytes,
      })),
      guestPorts: [restPort, nbdPort],
    });
    const { nvmePort } = options;
    const parts = nvmePort === undefined ? { machine } : { machine, nvmePort };
    return new StorageNode(parts, disks, server);
  }

  /** The daemon's REST API. */
  get client(): DaemonClient {
    assert.ok(this.#client !== undefined, 'the daemon runs');
    return this.#client;
  }

  /** Boots, with the state folder on its own disk; the first time that disk gets a file system. */
  async boot(): Promise<number> {
    const elapsedMs = await this.machine.boot();
    await this.machine.run(`
      blkid /run/disks/state >/dev/null || mkfs.ext4 -q /run/disks/state
      mkdir -p ${stateFolder}
      mount -t ext4 /run/disks/state ${stateFolder}
    `);
    return elapsedMs;
  }

  /** Starts the daemon and waits until its pools are open and it takes calls; returns how long that took. */
  async startDaemon(): Promise<number> {
    const startMs = performance.now();
    const nvme =
      this.#nvmePort === undefined ? '' : `--nvme-listen=tcp://127.0.0.1:${this.#nvmePort}`;
    // The ports of the guest's interface lead to the daemon's sockets, which are for its own machine only.
    await this.machine.run(`
      cd /
      ${productPaths.node} ${productPaths.storageDaemon} --name=guest \
        --state-folder=${stateFolder} --nbd-listen=unix:///run/nbd.sock --listen=unix:///run/rest.sock ${nvme} \
        >>${daemonLog} 2>&1 &
      echo $! >/run/varve.pid
      if [ ! -e /run/forwarding ]; then
        touch /run/forwarding
        socat TCP-LISTEN:${restPort},fork,reuseaddr UNIX-CONNECT:/run/rest.sock >/dev/null 2>&1 &
        socat -b 262144 TCP-LISTEN:${nbdPort},fork,reuseaddr,nodelay UNIX-CONNECT:/run/nbd.sock >/dev/null 2>&1 &
      fi
    `);
    await this.#client?.close();
    const client = new DaemonClient({
      endpoint: `http://127.0.0.1:${this.machine.hostPort(restPort)}`,
    });
    this.#client = client;
    await waitUntil(
      'the daemon in the guest to be ready',
      async () => {
        await client.getReadiness({ timeoutMs: 5000 });
        return true;
      },
      { timeoutMs: readyTimeoutMs, intervalMs: 200 },
    );
    return performance.now() - startMs;
  }

  /** Asks the daemon to stop and demands that it ends with 0. */
  async stopDaemon(): Promise<void> {
    await this.machine.run(
      `pid=$(cat /run/varve.pid)
       kill -TERM $pid
       for ((i = 0; i < 300; i++)); do [ -e /proc/$pid ] || break; sleep 0.1; done
       [ ! -e /proc/$pid ]
       sync`,
      stopTimeoutMs,
    );
  }

  /** Opens an export from the host. */
  async openExport(name: string): Promise<NbdClient> {
    return NbdClient.open({ port: this.machine.hostPort(nbdPort) }, name);
  }

  /** Makes the namespaces forget at the next cut what they are told from now on, flushed or not. */
  beginLying(): void {
    for (const disk of this.#namespaces) disk.beginLying();
  }

  /** Cuts the power: guest and disk caches are gone in one instant. Returns what the namespaces lost. */
  async cutPower(random: SeededRandom): Promise<string> {
    this.#server.freeze();
    await this.machine.powerCut();
    const reports = [...this.#disks.values()].map((disk) => disk.cutPower(random.fork()));
    this.#server.thaw();
    await this.#client?.destroy();
    this.#client = undefined;
    const sum = (key: 'kept' | 'torn' | 'lost'): number =>
      reports.reduce((total, report) => total + report[key], 0);
    return `of the writes in the disks' caches ${sum('kept')} kept, ${sum('torn')} torn, ${sum('lost')} lost`;
  }

  /** Runs the offline checker on what is durable of the namespaces, and demands that it finds nothing. */
  async expectCleanPool(): Promise<void> {
    const files = this.#namespaces.map((disk) => disk.file);
    const args = ['--enable-source-maps', programs.storageDaemon, 'inspect', ...files];
    const result = await tryCommand(process.execPath, args, { timeoutMs: checkTimeoutMs });
    assert.equal(result.code, 0, `varve-storaged inspect: ${result.stdout}${result.stderr}`);
  }

  /** How often the namespaces were written, flushed and told to discard. */
  describeDisks(): string {
    const sum = (key: keyof VolatileDisk['counts']): number =>
      this.#namespaces.reduce((total, disk) => total + disk.counts[key], 0);
    return `${sum('writes')} writes (${sum('fuaWrites')} FUA), ${sum('flushes')} flushes, ${sum('discards')} discards`;
  }

  /** The ends of all logs, the daemon's too where the guest still answers. */
  async explain(): Promise<string> {
    const daemon = await this.machine
      .tryRun(`tail -n 40 ${daemonLog}; dmesg | tail -n 20; ${whatDaemonDoes}`, 60_000)
      .then((result) => result.stdout)
      .catch(() => 'the guest does not answer');
    return `${this.machine.logTails()}\n--- varve-storaged in the guest\n${daemon}`;
  }

  /** Ends it and its disks. May be called twice. */
  async destroy(): Promise<void> {
    await this.machine.powerCut();
    await this.#client?.destroy();
    this.#server.close();
  }
}
