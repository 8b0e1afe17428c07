/** As much of CSI's Controller service as csi-sanity needs: volumes are targets of the fake machine. */
import { createHash, randomUUID } from 'node:crypto';
import { formatAttachmentMetadata } from '@varve/contract/kubernetes/attachment-metadata';
import { ProblemError } from '@varve/contract/problem';
import { z } from 'zod';
import type { GrpcService } from '../grpc/grpc-server.ts';
import { parseRequest } from '../grpc/requests.ts';
import type { FakeSystem } from './fake-system.ts';

const capabilities = ['CREATE_DELETE_VOLUME', 'PUBLISH_UNPUBLISH_VOLUME', 'EXPAND_VOLUME'].map(
  (type) => ({ rpc: { type } }),
);
const defaultBytes = 2 ** 30;
const hostNqn = `nqn.2014-08.org.nvmexpress:uuid:${randomUUID()}`;

const nameSchema = z.string().min(1, 'must be given');
const capabilitySchema = z.looseObject({}, 'must be given');
const capabilitiesSchema = z.array(capabilitySchema).min(1, 'must be given');
const schemas = {
  create: z.object({
    name: nameSchema,
    volumeCapabilities: capabilitiesSchema,
    capacityRange: z.object({ requiredBytes: z.string() }).nullish(),
  }),
  delete: z.object({ volumeId: nameSchema }),
  publish: z.object({
    volumeId: nameSchema,
    nodeId: nameSchema,
    volumeCapability: capabilitySchema,
  }),
  expand: z.object({
    volumeId: nameSchema,
    capacityRange: z.object({ requiredBytes: z.string() }, 'must be given'),
  }),
  unpublish: z.object({ volumeId: nameSchema }),
  validate: z.object({ volumeId: nameSchema, volumeCapabilities: capabilitiesSchema }),
};

interface SanityVolume {
  readonly subsystemNqn: string;
  readonly namespaceUuid: string;
  sizeBytes: number;
}

/** The service; `nodeName` is the only node there is. */
export function sanityController(system: FakeSystem, nodeName: string): GrpcService {
  const volumes = new Map<string, SanityVolume>();
  const find = (volumeId: string): SanityVolume => {
    const volume = volumes.get(volumeId);
    if (volume !== undefined) return volume;
    throw new ProblemError('not-found', `Finding the volume ${volumeId} failed: there is none`);
  };
  const create = (request: unknown): object => {
    const call = parseRequest('Creating', schemas.create, request);
    const digest = createHash('sha256').update(call.name).digest('hex').slice(0, 32);
    const volumeId = `sanity/pvc-${digest}`;
    const sizeBytes = Number(call.capacityRange?.requiredBytes ?? 0) || defaultBytes;
    const known = volumes.get(volumeId);
    if (known !== undefined && known.sizeBytes !== sizeBytes) {
      throw new ProblemError('already-exists', `Creating ${call.name} failed: another size`);
    }
    if (known === undefined) {
      const namespaceUuid = randomUUID();
      const subsystemNqn = `nqn.2026-11.dev.varve:volume:${namespaceUuid}`;
      const volume = { subsystemNqn, namespaceUuid, sizeBytes };
      volumes.set(volumeId, volume);
      system.addTarget(volume);
    }
    return { volume: { volumeId, capacityBytes: sizeBytes } };
  };
  const publish = (request: unknown): object => {
    const { volumeId, nodeId } = parseRequest('Attaching', schemas.publish, request);
    const volume = find(volumeId);
    if (nodeId !== nodeName) throw new ProblemError('not-found', `There is no node ${nodeId}`);
    const portals = [{ host: '192.0.2.1', port: 4420 }];
    const daemonEndpoint = 'https://192.0.2.1:8443';
    const metadata = { ...volume, hostNqn, portals, daemonEndpoint };
    return { publishContext: formatAttachmentMetadata(metadata) };
  };
  const expand = (request: unknown): object => {
    const { volumeId, capacityRange } = parseRequest('Expanding', schemas.expand, request);
    const volume = find(volumeId);
    volume.sizeBytes = Number(capacityRange.requiredBytes);
    const target = system.targets.get(volume.subsystemNqn);
    if (target !== undefined) target.sizeBytes = volume.sizeBytes;
    return { capacityBytes: volume.sizeBytes, nodeExpansionRequired: true };
  };
  return {
    name: 'csi.v1.Controller',
    protoFile: 'testing/csi-controller.proto',
    handlers: {
      ControllerGetCapabilities: async () => Promise.resolve({ capabilities }),
      CreateVolume: async (request) => Promise.resolve(create(request)),
      DeleteVolume: async (request) => {
        const { volumeId } = parseRequest('Deleting', schemas.delete, request);
        volumes.delete(volumeId);
        return Promise.resolve({});
      },
      ControllerPublishVolume: async (request) => Promise.resolve(publish(request)),
      ControllerExpandVolume: async (request) => Promise.resolve(expand(request)),
      ControllerUnpublishVolume: async (request) => {
        parseRequest('Detaching', schemas.unpublish, request);
        return Promise.resolve({});
      },
      ValidateVolumeCapabilities: async (request) => {
        const call = parseRequest('Validating', schemas.validate, request);
        find(call.volumeId);
        const { volumeCapabilities } = call;
        return Promise.resolve({ confirmed: { volumeCapabilities } });
      },
    },
  };
}
