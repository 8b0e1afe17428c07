/**
 * Serves the real Identity and Node services at the socket of the first argument, on a machine in memory whose
 * folders and files are real, with the Controller service that csi-sanity needs. SIGTERM ends it; it then says
 * what is left of volumes.
 */
import { mkdir, open, rm } from 'node:fs/promises';
import { systemClock } from '@varve/common/clock';
import { createLogger } from '@varve/common/logger';
import type { Filesystem } from '@varve/contract/filesystem';
import { Attachment } from '../attach/attachment.ts';
import { GrpcServer } from '../grpc/grpc-server.ts';
import { identityService } from '../grpc/identity-service.ts';
import { nodeService } from '../grpc/node-service.ts';
import { FakeSystem } from './fake-system.ts';
import { sanityController } from './sanity-controller.ts';

const nodeName = 'sanity-node';
const driverName = 'csi.varve.dev';

class SystemWithPaths extends FakeSystem {
  override async makeFolder(path: string): Promise<void> {
    await mkdir(path, { recursive: true });
    await super.makeFolder(path);
  }

  override async makeFile(path: string): Promise<void> {
    await (await open(path, 'a')).close();
    await super.makeFile(path);
  }

  override async removeTarget(path: string): Promise<void> {
    await super.removeTarget(path);
    await rm(path, { recursive: true, force: true });
  }
}

const [socketPath] = process.argv.slice(2);
if (socketPath === undefined) throw new Error('Usage: sanity-main <socket>');
const log = createLogger({ name: 'varve-node', level: 'info' });
const system = new SystemWithPaths();
const path = { reconnectDelaySeconds: 2, lossTimeoutSeconds: 600 };
const attachment = new Attachment({ path }, { system, clock: systemClock, log });
const filesystems = new Map<string, Filesystem>();
const ledger = {
  read: async (volume: string): Promise<Filesystem> =>
    Promise.resolve(filesystems.get(volume) ?? { state: 'blank' }),
  write: async (volume: string, state: 'formatting' | 'ready', type: 'ext4' | 'xfs') => {
    filesystems.set(volume, { state, type });
    return Promise.resolve();
  },
};
const context = { system, attachment, ledgers: () => ledger, log };
const services = [
  identityService({ driverName, hasTopology: false, hasController: true }),
  nodeService(context, { nodeName, volumesMax: 0, topology: {} }),
  sanityController(system, nodeName),
];
const server = new GrpcServer({ socketPath, services }, { log });
await server.listen();
log.info('started');
process.once('SIGTERM', () => {
  const { mounts, controllers, states } = system;
  const left = { mounts: mounts.length, connections: controllers.size, states: states.size };
  log.info(left, 'left');
  void server.close().then(() => process.exit(Object.values(left).every((n) => n === 0) ? 0 : 1));
});
