/** The peers: other programs that serve one export from a file in memory, over the same transport as ours. */
import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, openSync } from 'node:fs';
import { join } from 'node:path';

import type { GroupContext } from '../harness/row.ts';
import type { BlockServer } from './block-server.ts';
import { findFreePort, isListening } from './free-port.ts';
import { ServerProcess } from './server-process.ts';

/** Debian packages of the programs that rows need. */
export const programPackages: Readonly<Record<string, string>> = {
  fio: 'fio',
  nbdkit: 'nbdkit',
  'qemu-img': 'qemu-utils',
  'qemu-nbd': 'qemu-utils',
  'qemu-storage-daemon': 'qemu-system-common',
  taskset: 'util-linux',
};

/** A peer that rows compare with. */
export interface Peer {
  /** The last part of a row's name. */
  readonly name: string;
  /** In one sentence, for the documentation of rows. */
  readonly description: string;
  readonly programs: readonly string[];
  start(context: GroupContext): Promise<BlockServer>;
}

/** How often qemu-nbd may be connected to: fio connects twice for each job. */
const qemuConnectionsMax = 32;

/** qemu-nbd on a raw file with io_uring and O_DIRECT: what most rows compare with. */
export const qemuNbdRaw: Peer = {
  name: 'qemu-nbd-raw',
  description: 'qemu-nbd, raw file, io_uring, no cache',
  programs: ['qemu-nbd'],
  start: async (context) => {
    const file = createRawFile(context, 'qemu-nbd-raw');
    return startServer(context, 'qemu-nbd-raw', (port) => qemuNbd('raw', port, file));
  },
};

/** qemu-nbd on a qcow2 file that holds an internal snapshot. */
export const qemuNbdQcow2: Peer = {
  name: 'qemu-nbd-qcow2',
  description: 'qemu-nbd, qcow2 file with a snapshot, io_uring, no cache',
  programs: ['qemu-nbd', 'qemu-img'],
  start: async (context) => {
    const file = createQcow2File(context, 'qemu-nbd.qcow2');
    return startServer(context, 'qemu-nbd-qcow2', (port) => qemuNbd('qcow2', port, file));
  },
};

/** qemu-storage-daemon on a qcow2 file that holds an internal snapshot. */
export const qemuStorageDaemonQcow2: Peer = {
  name: 'qemu-storage-daemon-qcow2',
  description: 'qemu-storage-daemon, qcow2 file with a snapshot, io_uring, no cache',
  programs: ['qemu-storage-daemon', 'qemu-img'],
  start: (context) => startQemuStorageDaemon(context),
};

/** The node whose snapshots `qmpSocket` is asked for. */
export const qemuNodeName = 'disk';

/** As the peer; with a socket for QEMU's monitor protocol if a path for one is given. */
export async function startQemuStorageDaemon(
  context: GroupContext,
  qmpSocket?: string,
): Promise<BlockServer> {
  const file = createQcow2File(context, 'qemu-storage-daemon.qcow2');
  const chardev = `socket,id=monitor,path=${qmpSocket},server=on,wait=off`;
  return startServer(context, 'qemu-storage-daemon', (port) => [
    'qemu-storage-daemon',
    '--blockdev',
    `driver=file,node-name=file,filename=${file},aio=io_uring,cache.direct=on`,
    '--blockdev',
    `driver=qcow2,node-name=${qemuNodeName},file=file,cache.direct=on`,
    '--nbd-server',
    `addr.type=inet,addr.host=127.0.0.1,addr.port=${port},max-connections=${qemuConnectionsMax}`,
    '--export',
    `type=nbd,id=export,node-name=${qemuNodeName},name=,writable=on`,
    ...(qmpSocket === undefined ? [] : ['--chardev', chardev, '--monitor', 'chardev=monitor']),
  ]);
}

/** nbdkit's file plugin, through the page cache. */
export const nbdkitFile: Peer = {
  name: 'nbdkit-file',
  description: 'nbdkit, file plugin, page cache',
  programs: ['nbdkit'],
  start: async (context) => {
    const file = createRawFile(context, 'nbdkit-file');
    return startServer(context, 'nbdkit-file', (port) => {
      const listen = ['--ipaddr', '127.0.0.1', '--port', `${port}`];
      return ['nbdkit', '--foreground', ...listen, 'file', file];
    });
  },
};

/** A sparse file of the data's size. */
export function createRawFile({ directory, dataBytes }: GroupContext, user: string): string {
  const path = join(directory, `${user}.raw`);
  const fd = openSync(path, 'w', 0o600);
  ftruncateSync(fd, dataBytes);
  closeSync(fd);
  return path;
}

function createQcow2File(context: GroupContext, name: string): string {
  const path = join(context.directory, name);
  runTool(context, ['qemu-img', 'create', '-q', '-f', 'qcow2', path, `${context.dataBytes}`]);
  runTool(context, ['qemu-img', 'snapshot', '-c', 'before', path]);
  return path;
}

function runTool({ printCommand }: GroupContext, command: readonly string[]): void {
  printCommand(command.join(' '));
  const { status, stderr } = spawnSync(command[0]!, command.slice(1), { encoding: 'utf8' });
  if (status !== 0) throw new Error(`Running ${command.join(' ')} failed: ${stderr}`);
}

function qemuNbd(format: string, port: number, file: string): readonly string[] {
  const io = ['--aio=io_uring', '--cache=none', `--format=${format}`];
  const listen = ['--bind=127.0.0.1', `--port=${port}`, `--shared=${qemuConnectionsMax}`];
  return ['qemu-nbd', '--persistent', ...io, ...listen, file];
}

async function startServer(
  { printCommand }: GroupContext,
  name: string,
  commandOn: (port: number) => readonly string[],
): Promise<BlockServer> {
  const port = await findFreePort();
  const server = new ServerProcess(commandOn(port), printCommand);
  try {
    await server.untilReady(() => isListening(port));
  } catch (error) {
    await server.kill();
    throw error;
  }
  const { pid } = server;
  return { name, uri: `nbd://127.0.0.1:${port}`, pid, close: () => server.kill() };
}
