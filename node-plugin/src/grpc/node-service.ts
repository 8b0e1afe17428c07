/** CSI's Node service: checks requests, lets one call at a time at a volume, and calls the operations. */
import { parseAttachmentMetadata } from '@varve/contract/kubernetes/attachment-metadata';
import { ProblemError } from '@varve/contract/problem';
import { publishVolume, unpublishVolume } from '../volumes/publish-volume.ts';
import { stageVolume } from '../volumes/stage-volume.ts';
import { unstageVolume } from '../volumes/unstage-volume.ts';
import type { VolumeContext } from '../volumes/volume-context.ts';
import { VolumeLock } from '../volumes/volume-lock.ts';
import { expandVolume, volumeStatistics, type VolumeStatistics } from '../volumes/volume-size.ts';
import type { GrpcService } from './grpc-server.ts';
import { parseRequest, readCapability, requestSchemas } from './requests.ts';

/** How the scheduler knows this node. */
export interface NodeInfo {
  /** The Node's name. */
  readonly nodeName: string;
  /** 0 is no limit. */
  readonly volumesMax: number;
  /** Labels; empty when volumes can be reached from everywhere. */
  readonly topology: Readonly<Record<string, string>>;
}

const handleForm = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?\/([a-z0-9]([a-z0-9.-]*[a-z0-9])?)$/;
const capabilities = [
  'STAGE_UNSTAGE_VOLUME',
  'GET_VOLUME_STATS',
  'EXPAND_VOLUME',
  'VOLUME_CONDITION',
  'SINGLE_NODE_MULTI_WRITER',
].map((type) => ({ rpc: { type } }));

/** The service. */
export function nodeService(context: VolumeContext, info: NodeInfo): GrpcService {
  const calls = new NodeCalls(context);
  const topology = Object.keys(info.topology).length === 0 ? null : { segments: info.topology };
  const answer = {
    nodeId: info.nodeName,
    maxVolumesPerNode: info.volumesMax,
    accessibleTopology: topology,
  };
  return {
    name: 'csi.v1.Node',
    protoFile: 'csi.proto',
    handlers: {
      NodeStageVolume: async (request) => calls.stage(request),
      NodeUnstageVolume: async (request) => calls.unstage(request),
      NodePublishVolume: async (request) => calls.publish(request),
      NodeUnpublishVolume: async (request) => calls.unpublish(request),
      NodeGetVolumeStats: async (request) => calls.stats(request),
      NodeExpandVolume: async (request) => calls.expand(request),
      NodeGetCapabilities: async () => Promise.resolve({ capabilities }),
      NodeGetInfo: async () => Promise.resolve(answer),
    },
  };
}

class NodeCalls {
  readonly #context: VolumeContext;
  readonly #lock = new VolumeLock();

  constructor(context: VolumeContext) {
    this.#context = context;
  }

  async stage(request: unknown): Promise<object> {
    const call = parseRequest('Staging', requestSchemas.stage, request);
    const { volumeId: volumeHandle, stagingTargetPath: stagingPath, secrets } = call;
    const wanted = readCapability(`Staging ${volumeHandle}`, call.volumeCapability);
    const volume = volumeOf(volumeHandle);
    const metadata = parseAttachmentMetadata(call.publishContext);
    const keys = { hostKey: secrets['hostKey'], controllerKey: secrets['controllerKey'] };
    const stage = { volumeHandle, volume, stagingPath, ...wanted, metadata, keys };
    return this.#work(volumeHandle, 'Staging', async () => stageVolume(this.#context, stage));
  }

  async unstage(request: unknown): Promise<object> {
    const call = parseRequest('Unstaging', requestSchemas.unstage, request);
    const { volumeId: volumeHandle, stagingTargetPath: stagingPath } = call;
    return this.#work(volumeHandle, 'Unstaging', async () =>
      unstageVolume(this.#context, { volumeHandle, stagingPath }),
    );
  }

  async publish(request: unknown): Promise<object> {
    const call = parseRequest('Publishing', requestSchemas.publish, request);
    const { volumeId: volumeHandle, stagingTargetPath: stagingPath, targetPath } = call;
    const action = `Publishing ${volumeHandle}`;
    const { access, accessMode } = readCapability(action, call.volumeCapability);
    if (stagingPath === '') {
      const message = `${action} failed: staging_target_path must be given, since volumes are staged`;
      throw new ProblemError('failed-precondition', message);
    }
    const readOnly = call.readonly || accessMode === 'SINGLE_NODE_READER_ONLY';
    const names = { volumeHandle, stagingPath, targetPath };
    const publish = { ...names, accessKind: access.kind, accessMode, readOnly };
    return this.#work(volumeHandle, 'Publishing', async () =>
      publishVolume(this.#context, publish),
    );
  }

  async unpublish(request: unknown): Promise<object> {
    const call = parseRequest('Unpublishing', requestSchemas.unpublish, request);
    const { volumeId: volumeHandle, targetPath } = call;
    return this.#work(volumeHandle, 'Unpublishing', async () =>
      unpublishVolume(this.#context, { volumeHandle, targetPath }),
    );
  }

  /** Reads only: it takes no turn, so that a call that hangs does not hide how the volume is doing. */
  async stats(request: unknown): Promise<object> {
    const call = parseRequest('Reading statistics', requestSchemas.stats, request);
    const { volumeId: volumeHandle, volumePath } = call;
    return formatStatistics(await volumeStatistics(this.#context, { volumeHandle, volumePath }));
  }

  async expand(request: unknown): Promise<object> {
    const call = parseRequest('Expanding', requestSchemas.expand, request);
    const { volumeId: volumeHandle, volumePath, capacityRange } = call;
    const requiredBytes = Number(capacityRange?.requiredBytes ?? 0);
    let capacityBytes = 0;
    await this.#work(volumeHandle, 'Expanding', async () => {
      const expand = { volumeHandle, volumePath, requiredBytes };
      capacityBytes = await expandVolume(this.#context, expand);
    });
    return { capacityBytes };
  }

  async #work(volumeHandle: string, action: string, task: () => Promise<void>): Promise<object> {
    const startMs = performance.now();
    await this.#lock.run({ volumeHandle, action }, task);
    const elapsedMs = Math.round(performance.now() - startMs);
    this.#context.log.info({ volumeHandle, action, elapsedMs }, 'done');
    return {};
  }
}

/** The id at the daemon. */
function volumeOf(volumeHandle: string): string {
  const volume = handleForm.exec(volumeHandle)?.[2];
  if (volume !== undefined) return volume;
  throw new ProblemError(
    'not-found',
    `Staging ${JSON.stringify(volumeHandle)} failed: it is no volume of ours; handles are <StorageDaemon>/<volume>`,
  );
}

function formatStatistics({ usage, isAbnormal, message }: VolumeStatistics): object {
  const volumeCondition = { abnormal: isAbnormal, message };
  if (!('usedBytes' in usage)) {
    return { usage: [{ unit: 'BYTES', total: usage.totalBytes }], volumeCondition };
  }
  const { totalBytes, availableBytes, usedBytes, totalInodes, freeInodes } = usage;
  return {
    usage: [
      { unit: 'BYTES', total: totalBytes, available: availableBytes, used: usedBytes },
      {
        unit: 'INODES',
        total: totalInodes,
        available: freeInodes,
        used: totalInodes - freeInodes,
      },
    ],
    volumeCondition,
  };
}
