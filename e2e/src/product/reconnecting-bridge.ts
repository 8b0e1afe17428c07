/**
 * An NBD client that outlives the server: qemu-nbd stands between fio and the daemon. When the daemon dies, it
 * connects again and repeats what was under way, as the kernel's NVMe/TCP initiator does for a pod, so the
 * program behind it never sees an error. It keeps no data: caching is writethrough, so each write reaches the
 * daemon with FUA before it is acknowledged.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ManagedProcess } from '../process/managed-process.ts';

/** How long it goes on trying to connect before it fails what is under way. */
const reconnectSeconds = 60;
const startTimeoutMs = 20_000;

/** What it connects to. */
export interface ReconnectingBridgeOptions {
  readonly directory: string;
  readonly daemonSocket: string;
  readonly exportName: string;
}

/** A running bridge. */
export class ReconnectingBridge {
  readonly uri: string;
  readonly #process: ManagedProcess;

  private constructor(options: ReconnectingBridgeOptions) {
    const socket = join(options.directory, 'bridge.sock');
    this.uri = `nbd+unix:///?socket=${socket}`;
    const image = [
      'driver=raw',
      'file.driver=nbd',
      'file.server.type=unix',
      `file.server.path=${options.daemonSocket}`,
      `file.export=${options.exportName}`,
      `file.reconnect-delay=${reconnectSeconds}`,
    ];
    const cache = ['--cache=writethrough', '--discard=unmap'];
    this.#process = new ManagedProcess({
      name: 'qemu-nbd',
      command: 'qemu-nbd',
      args: ['-k', socket, '-t', '--shared=8', ...cache, '--image-opts', image.join(',')],
      logFile: join(options.directory, 'qemu-nbd.log'),
    });
  }

  /** Starts it and resolves when it listens. */
  static async start(options: ReconnectingBridgeOptions): Promise<ReconnectingBridge> {
    const bridge = new ReconnectingBridge(options);
    const socket = join(options.directory, 'bridge.sock');
    await bridge.#process.waitUntil(
      'qemu-nbd to listen',
      async () => (existsSync(socket) ? true : undefined),
      startTimeoutMs,
    );
    return bridge;
  }

  async stop(): Promise<void> {
    await this.#process.stop();
  }
}
