/** Wires the plugin: the machine, the operations on volumes, and the two sockets that kubelet knows. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '@varve/common/clock';
import type { Logger } from '@varve/common/logger';
import { Attachment } from './attach/attachment.ts';
import type { NodePluginConfig } from './config.ts';
import { DaemonLedgers, type DaemonCredentials } from './filesystem/daemon-ledgers.ts';
import { FreezeKeeper } from './freeze/freeze-keeper.ts';
import { FreezeServer } from './freeze/freeze-server.ts';
import { GrpcServer } from './grpc/grpc-server.ts';
import { identityService } from './grpc/identity-service.ts';
import { nodeService } from './grpc/node-service.ts';
import { registrationService } from './grpc/registration-service.ts';
import { LinuxSystem } from './system/linux-system.ts';
import { nodePluginVersion } from './version.ts';

/** A plugin that serves. */
export interface NodePlugin {
  /** Resolves with the reason when kubelet refuses it. */
  readonly refused: Promise<string>;
  /** Deregisters, lets calls under way finish, and leaves all mounts and connections as they are. */
  stop(): Promise<void>;
}

/** Starts to serve; the CSI socket first, since kubelet calls it as soon as it knows of the plugin. */
export async function startNodePlugin(
  config: NodePluginConfig,
  { log }: { readonly log: Logger },
): Promise<NodePlugin> {
  const { driverName, kubeletFolder, nodeName, topology, volumesMax } = config;
  const system = new LinuxSystem(config.stateFolder);
  const { reconnectDelaySeconds, lossTimeoutSeconds } = config;
  const path = { reconnectDelaySeconds, lossTimeoutSeconds };
  const attachment = new Attachment({ path }, { system, clock: systemClock, log });
  const ledgers = new DaemonLedgers(
    () => readCredentials(config),
    `varve-node/${nodePluginVersion} (${nodeName})`,
  );
  const context = { system, attachment, ledgers: ledgers.open, log };
  const hasTopology = Object.keys(topology).length > 0;
  const endpoint = join(kubeletFolder, 'plugins', driverName, 'csi.sock');
  const servers = [
    new GrpcServer(
      {
        socketPath: endpoint,
        services: [
          identityService({ driverName, hasTopology }),
          nodeService(context, { nodeName, volumesMax, topology }),
        ],
      },
      { log },
    ),
  ];
  const refused = Promise.withResolvers<string>();
  if (config.registration === 'own') {
    const registration = { driverName, endpoint, log, onRefused: refused.resolve };
    const socketPath = join(kubeletFolder, 'plugins_registry', `${driverName}-reg.sock`);
    const services = [registrationService(registration)];
    servers.push(new GrpcServer({ socketPath, services }, { log }));
  }
  const keeper = new FreezeKeeper({ system, clock: systemClock, log });
  await keeper.thawAll();
  const freezes = await startFreezes(config, { keeper, log });
  for (const server of servers) await server.listen();
  log.info({ endpoint, nodeName, driverName }, 'started');
  return {
    refused: refused.promise,
    stop: async () => {
      // The registration goes first, so that kubelet sends no more calls.
      for (const server of servers.toReversed()) await server.close();
      await freezes?.close();
      await keeper.close();
      await ledgers.close();
    },
  };
}

async function startFreezes(
  config: NodePluginConfig,
  dependencies: { readonly keeper: FreezeKeeper; readonly log: Logger },
): Promise<FreezeServer | undefined> {
  const {
    freezeListen: listen,
    freezeCertificateFile,
    freezeKeyFile,
    freezeAuthorityFile,
  } = config;
  if (listen === undefined) return undefined;
  const certificate = readText(freezeCertificateFile) ?? '';
  const key = readText(freezeKeyFile) ?? '';
  const authority = readText(freezeAuthorityFile) ?? '';
  return FreezeServer.start({ listen, certificate, key, authority }, dependencies);
}

function readText(file: string | undefined): string | undefined {
  return file === undefined ? undefined : readFileSync(file, 'utf8').trim();
}

function readCredentials(config: NodePluginConfig): DaemonCredentials {
  const certificate = readText(config.daemonCertificateFile);
  const key = readText(config.daemonKeyFile);
  return {
    token: readText(config.daemonTokenFile),
    certificateAuthority: readText(config.daemonAuthorityFile),
    clientCertificate:
      certificate === undefined || key === undefined ? undefined : { certificate, key },
  };
}
