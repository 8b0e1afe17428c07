/** A client of gRPC over a real socket, as kubelet is one. */
import { mkdtempSync, rmSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { credentials, status, type Client } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { silentLogger } from '@varve/common/logger';
import { formatAttachmentMetadata } from '@varve/contract/kubernetes/attachment-metadata';
import { benchNames, VolumeBench } from '../testing/volume-bench.ts';
import { GrpcServer, loadService } from './grpc-server.ts';
import { identityService } from './identity-service.ts';
import { nodeService } from './node-service.ts';
import { registrationService } from './registration-service.ts';

const driverName = 'csi.varve.dev';
const targetPath = '/pods/a/mount';
const capability = { mount: { fsType: 'ext4' }, accessMode: { mode: 'SINGLE_NODE_WRITER' } };
const refusals: string[] = [];
let folder: string;
let bench: VolumeBench;
let server: GrpcServer;
let clients: Client[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'varve-csi-'));
  bench = new VolumeBench();
  clients = [];
  const log = silentLogger();
  const onRefused = (reason: string) => void refusals.push(reason);
  const info = { nodeName: 'node-1', volumesMax: 0, topology: { 'topology.varve.dev/zone': 'a' } };
  const services = [
    identityService({ driverName, hasTopology: true }),
    nodeService(bench.context(), info),
    registrationService({ driverName, endpoint: '/csi.sock', log, onRefused }),
  ];
  server = new GrpcServer({ socketPath: join(folder, 'csi.sock'), services }, { log });
  await server.listen();
});

afterEach(async () => {
  for (const client of clients) client.close();
  await server.close();
  rmSync(folder, { recursive: true });
});

async function call(service: string, method: string, request: object = {}): Promise<unknown> {
  const file = service.startsWith('csi') ? 'csi.proto' : 'plugin-registration.proto';
  // The authority that kubelet sends.
  const options = { 'grpc.default_authority': 'localhost' };
  const address = `unix:${join(folder, 'csi.sock')}`;
  const client = new (loadService(file, service))(address, credentials.createInsecure(), options);
  clients.push(client);
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, response: unknown) =>
      error === null ? resolve(response) : reject(error);
    (client[method] as (request: object, done: unknown) => void).call(client, request, done);
  });
}

const node = async (method: string, request: object = {}) => call('csi.v1.Node', method, request);
const stageRequest = () => ({
  volumeId: benchNames.volumeHandle,
  stagingTargetPath: benchNames.stagingPath,
  volumeCapability: capability,
  publishContext: formatAttachmentMetadata(bench.metadata()),
});

describe('over the socket', () => {
  test('the plugin says who and where it is, and what it can', async () => {
    expect(await call('csi.v1.Identity', 'GetPluginInfo')).toMatchObject({ name: driverName });
    expect(await call('csi.v1.Identity', 'Probe')).toEqual({ ready: { value: true } });
    expect(await call('csi.v1.Identity', 'GetPluginCapabilities')).toMatchObject({
      capabilities: [
        { service: { type: 'VOLUME_ACCESSIBILITY_CONSTRAINTS' } },
        { volumeExpansion: { type: 'ONLINE' } },
      ],
    });
    expect(await node('NodeGetInfo')).toMatchObject({
      nodeId: 'node-1',
      accessibleTopology: { segments: { 'topology.varve.dev/zone': 'a' } },
    });
  });

  test('a volume goes through its life', async () => {
    const { volumeId, stagingTargetPath } = stageRequest();
    await node('NodeStageVolume', stageRequest());
    const publish = { volumeId, stagingTargetPath, targetPath, volumeCapability: capability };
    await node('NodePublishVolume', publish);
    expect(await node('NodeGetVolumeStats', { volumeId, volumePath: targetPath })).toMatchObject({
      usage: [
        { unit: 'BYTES', total: '100', available: '60', used: '40' },
        { unit: 'INODES', total: '10', available: '9', used: '1' },
      ],
      volumeCondition: { abnormal: false },
    });
    const capacityRange = { requiredBytes: String(bench.target.sizeBytes) };
    expect(
      await node('NodeExpandVolume', { volumeId, volumePath: targetPath, capacityRange }),
    ).toEqual({ capacityBytes: String(bench.target.sizeBytes) });
    await node('NodeUnpublishVolume', { volumeId, targetPath });
    await node('NodeUnstageVolume', { volumeId, stagingTargetPath });
    expect(bench.remains()).toEqual([]);
  });

  test('a second call for a volume that is being staged is aborted', async () => {
    const reached = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    const probe = bench.system.probeDevice.bind(bench.system);
    bench.system.probeDevice = async (device) => {
      reached.resolve();
      await release.promise;
      return probe(device);
    };
    const first = node('NodeStageVolume', stageRequest());
    await reached.promise;
    await expect(node('NodeStageVolume', stageRequest())).rejects.toMatchObject({
      code: status.ABORTED,
    });
    release.resolve();
    await first;
  });

  test.each([
    ['NodeStageVolume', { volumeId: '' }, 'volume_id'],
    ['NodeStageVolume', { stagingTargetPath: '' }, 'staging_target_path'],
    ['NodeStageVolume', { volumeCapability: undefined }, 'volume_capability'],
    ['NodeStageVolume', { publishContext: {} }, 'hostNqn'],
    ['NodePublishVolume', { targetPath: '' }, 'target_path'],
    ['NodeUnpublishVolume', { targetPath: '' }, 'target_path'],
    ['NodeGetVolumeStats', { volumePath: '' }, 'volume_path'],
    ['NodeExpandVolume', { volumePath: '' }, 'volume_path'],
  ])('%s with %j names the field', async (method, changes, field) => {
    const request = { ...stageRequest(), targetPath, volumePath: targetPath, ...changes };
    await expect(node(method, request)).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: expect.stringContaining(field),
    });
  });

  test('an access mode for several nodes is refused', async () => {
    const accessMode = { mode: 'MULTI_NODE_MULTI_WRITER' };
    const request = { ...stageRequest(), volumeCapability: { ...capability, accessMode } };
    await expect(node('NodeStageVolume', request)).rejects.toMatchObject({
      code: status.FAILED_PRECONDITION,
    });
  });

  test('kubelet registers the plugin, and its refusal is heard', async () => {
    const registration = 'pluginregistration.Registration';
    expect(await call(registration, 'GetInfo')).toEqual({
      type: 'CSIPlugin',
      name: driverName,
      endpoint: '/csi.sock',
      supportedVersions: ['1.0.0'],
    });
    await call(registration, 'NotifyRegistrationStatus', { pluginRegistered: true });
    expect(refusals).toEqual([]);
    const refusal = { pluginRegistered: false, error: 'no' };
    await call(registration, 'NotifyRegistrationStatus', refusal);
    expect(refusals).toEqual(['no']);
  });

  test('the socket goes with the server', async () => {
    await server.close();
    expect(existsSync(join(folder, 'csi.sock'))).toBe(false);
  });
});
