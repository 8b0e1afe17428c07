/**
 * A Kubernetes node without Kubernetes: a guest with the node plugin, a daemon on the host, and the test in
 * kubelet's place, which speaks CSI to the plugin's socket through a forwarded port.
 */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { credentials, type Client } from '@grpc/grpc-js';
import { formatAttachmentMetadata } from '@varve/contract/kubernetes/attachment-metadata';
import { loadService } from '@varve/node-plugin/grpc/grpc-server';
import { freePorts } from '../clusters/free-port.ts';
import { waitUntil } from '../process/wait-until.ts';
import { StorageDaemon } from '../product/storage-daemon.ts';
import { productPaths } from './image/product-image.ts';
import { VirtualMachine } from './virtual-machine.ts';
import type { VmBench } from './vm-test.ts';

const memoryMib = 1024;
const processors = 2;
const poolBytes = 8 * 2 ** 30;
const hostAddress = '10.0.2.2';
/** Of the guest: its way to the daemon's REST API, and the way to the plugin's socket from outside. */
const restPort = 8080;
const csiPort = 9000;
const driverName = 'csi.varve.dev';
const startTimeoutMs = 120_000;
/** kubelet's own. */
const callTimeoutMs = 120_000;
/** Programs here are found before the system's. */
export const overrideFolder = '/run/override';
const pluginLog = '/run/varve-node.log';
const csiSocket = `/var/lib/kubelet/plugins/${driverName}/csi.sock`;

/** Guest, daemon and the plugin between them. */
export class PluginNode {
  readonly machine: VirtualMachine;
  readonly daemon: StorageDaemon;
  readonly #nvmePort: number;
  readonly #token: string;
  readonly hostNqn: string;
  #client: Client | undefined;

  private constructor(
    parts: { readonly machine: VirtualMachine; readonly daemon: StorageDaemon },
    names: { readonly nvmePort: number; readonly token: string; readonly hostNqn: string },
  ) {
    this.machine = parts.machine;
    this.daemon = parts.daemon;
    this.#nvmePort = names.nvmePort;
    this.#token = names.token;
    this.hostNqn = names.hostNqn;
  }

  /** Starts guest and daemon; the bench ends them. */
  static async start(bench: VmBench): Promise<PluginNode> {
    const directory = join(bench.directory, 'daemon');
    mkdirSync(directory, { recursive: true });
    const [nvmePort = 0, port = 0] = await freePorts(2);
    const hostNqn = `nqn.2014-08.org.nvmexpress:uuid:${randomUUID()}`;
    const token = randomBytes(24).toString('hex');
    const tokenFile = join(directory, 'tokens');
    writeFileSync(tokenFile, `${token} node ${hostNqn}\n`, { mode: 0o600 });
    const tcp = { port, tokenFile };
    const daemon = new StorageDaemon({ name: 'host', directory, poolBytes, nvmePort, tcp });
    const machine = new VirtualMachine({
      image: bench.image,
      directory: bench.directory,
      memoryMib,
      processors,
      disks: [{ serial: 'product', source: { kind: 'file', path: bench.productImage } }],
      namespaces: [],
      guestPorts: [csiPort],
    });
    const node = new PluginNode({ machine, daemon }, { nvmePort, token, hostNqn });
    bench.atEnd(async () => {
      node.#client?.close();
      await machine.powerCut();
      await daemon.kill();
    });
    bench.explainWith(async () => node.#explain());
    await daemon.start();
    await daemon.createPool();
    await machine.boot();
    await machine.run(
      `mkdir -p /var/lib/kubelet/pods /run/staging
       socat TCP-LISTEN:${restPort},bind=127.0.0.1,fork,reuseaddr TCP:${hostAddress}:${port} \\
         >/dev/null 2>&1 &
       socat TCP-LISTEN:${csiPort},fork,reuseaddr UNIX-CONNECT:${csiSocket} >/dev/null 2>&1 &`,
    );
    await machine.writeFile('/run/token', token);
    return node;
  }

  /** Starts the plugin, and waits until it answers. */
  async startPlugin(): Promise<void> {
    await this.machine.run(
      `cd /
       PATH=${overrideFolder}:$PATH ${productPaths.node} ${productPaths.nodePlugin} \\
         --node-name node-1 --daemon-token-file /run/token >>${pluginLog} 2>&1 &
       echo $! >/run/plugin.pid`,
    );
    this.#client?.close();
    this.#client = undefined;
    await waitUntil(
      'the plugin to answer',
      async () => {
        await this.call('NodeGetInfo');
        return true;
      },
      { timeoutMs: startTimeoutMs, intervalMs: 500 },
    );
  }

  /** Ends the plugin as a crash would, and starts the next. */
  async crashPlugin(): Promise<void> {
    await this.machine.run('kill -9 $(cat /run/plugin.pid)');
    await this.startPlugin();
  }

  /** Calls CSI's Node service; an error has the status code and what the plugin says. */
  async call(method: string, request: object = {}): Promise<unknown> {
    this.#client ??= new (loadService('csi.proto', 'csi.v1.Node'))(
      `127.0.0.1:${this.machine.hostPort(csiPort)}`,
      credentials.createInsecure(),
      // What kubelet sends.
      { 'grpc.default_authority': 'localhost' },
    );
    const client = this.#client as Client & Record<string, unknown>;
    const invoke = client[method] as (...args: readonly unknown[]) => void;
    const deadline = Date.now() + callTimeoutMs;
    return new Promise((resolve, reject) => {
      invoke.call(client, request, { deadline }, (error: Error | null, response: unknown) =>
        error === null ? resolve(response) : reject(error),
      );
    });
  }

  /** Grants the node a volume, as the attach step does; returns what that tells the node. */
  async attach(volume: string): Promise<Record<string, string>> {
    const { client } = this.daemon;
    const { hostNqn } = this;
    const { uuid, sizeBytes } = await client.getVolume(volume);
    const { subsystemNqn } = await client.putHost({ volume, hostNqn });
    return formatAttachmentMetadata({
      hostNqn,
      subsystemNqn,
      namespaceUuid: uuid,
      sizeBytes,
      portals: [{ host: hostAddress, port: this.#nvmePort }],
      daemonEndpoint: `http://127.0.0.1:${restPort}`,
    });
  }

  /** Takes the grant back: afterwards nothing that the node sends changes the volume. */
  async revoke(volume: string): Promise<void> {
    await this.daemon.client.deleteHost({ volume, hostNqn: this.hostNqn });
  }

  /** Demands that nothing of any volume is left in the guest. */
  async expectNothingLeft(): Promise<void> {
    const left = await this.machine.run(
      `grep -E ' /run/staging| /var/lib/kubelet/pods' /proc/self/mountinfo || true
       cat /sys/class/nvme/*/subsysnqn 2>/dev/null || true
       ls /run/varve-node 2>/dev/null || true
       ls /var/lib/kubelet/pods`,
    );
    assert.equal(left, '', 'no mount, no connection, no state file and no target is left');
    const log = await this.machine.run(`grep -c ${this.#token} ${pluginLog} || true`);
    assert.equal(log.trim(), '0', 'the log has no token in it');
  }

  async #explain(): Promise<string> {
    const story = await this.machine
      .tryRun(`tail -n 30 ${pluginLog}; dmesg | tail -n 30`, 10_000)
      .then((result) => result.stdout)
      .catch(() => 'the guest does not answer');
    return `${this.daemon.logTail()}\n${this.machine.logTails()}\n--- the plugin and dmesg\n${story}`;
  }
}
