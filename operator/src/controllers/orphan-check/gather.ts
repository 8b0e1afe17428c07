/**
 * Compares what a daemon holds for this cluster with what the cluster knows of the daemon. The daemon is listed first:
 * an object is always written before its data is made, and goes after it, so that what a fresh view of the cluster
 * does not know then is an orphan, and not merely young.
 */
import type { DaemonClient } from '@varve/contract/client/daemon-client';
import type { Labels } from '@varve/contract/identifier';
import { isProblemError } from '@varve/contract/problem';
import type { ControllerContext } from '../../controller-context.ts';
import type { PersistentVolume } from '../../kube/core-kinds.ts';
import { objectKey } from '../../kube/kubernetes-object.ts';
import {
  persistentVolumeClaims,
  persistentVolumes,
  volumeSnapshotContents,
  volumeSnapshots,
} from '../../kube/resource.ts';
import type { VolumeSnapshotContent } from '../../kube/snapshot-kinds.ts';
import { readLive } from '../shared/live-read.ts';
import { formatHandle, parseHandle } from '../shared/storage-handle.ts';
import type { Orphan } from './world.ts';

interface Held {
  readonly id: string;
  readonly labels: Labels;
}

/** Finds all orphans of a daemon. */
export async function findOrphans(
  daemonName: string,
  context: ControllerContext,
  signal: AbortSignal,
): Promise<readonly Orphan[]> {
  const client = await context.daemons.clientOf(daemonName);
  const volumes: Held[] = [];
  for await (const { id, labels } of client.allVolumes({}, { signal }))
    volumes.push({ id, labels });
  const snapshots: Held[] = [];
  for await (const { id, labels } of client.allSnapshots({}, { signal })) {
    snapshots.push({ id, labels });
  }
  const known = knownHandles(context);
  const isUnknown = ({ id }: Held): boolean => !known.has(formatHandle({ daemon: daemonName, id }));
  const orphans: Orphan[] = [];
  // Last of all whether it is still there: it may have been deleted, and then its object, since the list.
  for (const volume of volumes.filter(isUnknown)) {
    const isOrphan = await isVolumeOrphan(volume, context);
    if (!isOrphan || !(await isThere(client.getVolume(volume.id, { signal })))) continue;
    orphans.push(orphanOf('volume', volume));
  }
  for (const snapshot of snapshots.filter(isUnknown)) {
    const isOrphan = await isSnapshotOrphan(snapshot, context);
    if (!isOrphan || !(await isThere(client.getSnapshot(snapshot.id, { signal })))) continue;
    orphans.push(orphanOf('snapshot', snapshot));
  }
  const held = new Set([...volumes, ...snapshots].map(({ id }) => id));
  return [...orphans, ...(await findMissing({ daemonName, held, client, signal }, context))];
}

/** Whether data still is an orphan: asked of the API server, right before it is removed. */
export async function isStillOrphan(
  {
    orphan,
    daemonName,
    labels,
  }: { readonly orphan: Orphan; readonly daemonName: string; readonly labels: Labels },
  context: ControllerContext,
): Promise<boolean> {
  const held = { id: orphan.name, labels };
  if (knownHandles(context).has(formatHandle({ daemon: daemonName, id: held.id }))) return false;
  return orphan.kind === 'volume' ? isVolumeOrphan(held, context) : isSnapshotOrphan(held, context);
}

/** The handles that volumes and contents of our driver name. */
function knownHandles({ listers, driverName }: ControllerContext): ReadonlySet<string> {
  const volumes = listers
    .of(persistentVolumes)
    .list()
    .filter(({ spec }) => spec.csi?.driver === driverName)
    .map(({ spec }) => spec.csi?.volumeHandle ?? '');
  const contents = listers
    .of(volumeSnapshotContents)
    .list()
    .map(({ spec, status }) => status?.snapshotHandle ?? spec.source.snapshotHandle ?? '');
  return new Set([...volumes, ...contents]);
}

/** The cache has proven nothing: that the claim and the volume are gone is asked of the API server. */
async function isVolumeOrphan(
  { id, labels }: Held,
  { client }: ControllerContext,
): Promise<boolean> {
  if (labels['varve.dev/kind'] !== 'PersistentVolumeClaim') return false;
  if ((await readLive(client, persistentVolumes, { name: id })) !== undefined) return false;
  const claim = await readLive(client, persistentVolumeClaims, nameOf(labels));
  return claim?.metadata.uid !== labels['varve.dev/uid'];
}

async function isSnapshotOrphan({ labels }: Held, { client }: ControllerContext): Promise<boolean> {
  if (labels['varve.dev/kind'] !== 'VolumeSnapshot') return false;
  const uid = labels['varve.dev/uid'];
  const name = `snapcontent-${uid}`;
  if ((await readLive(client, volumeSnapshotContents, { name })) !== undefined) return false;
  const snapshot = await readLive(client, volumeSnapshots, nameOf(labels));
  return snapshot?.metadata.uid !== uid;
}

interface AskedDaemon {
  readonly daemonName: string;
  readonly held: ReadonlySet<string>;
  readonly client: DaemonClient;
  readonly signal: AbortSignal;
}

async function findMissing(
  { daemonName, held, client, signal }: AskedDaemon,
  { listers, driverName }: ControllerContext,
): Promise<readonly Orphan[]> {
  const orphans: Orphan[] = [];
  for (const volume of listers.of(persistentVolumes).list()) {
    const handle = parseHandle(volume.spec.csi?.volumeHandle ?? '');
    if (volume.spec.csi?.driver !== driverName || handle?.daemon !== daemonName) continue;
    if (held.has(handle.id) || volume.metadata.deletionTimestamp !== undefined) continue;
    if (await isThere(client.getVolume(handle.id, { signal }))) continue;
    orphans.push({ kind: 'persistent-volume', name: volume.metadata.name, owner: claimOf(volume) });
  }
  for (const content of listers.of(volumeSnapshotContents).list()) {
    const handle = parseHandle(content.status?.snapshotHandle ?? '');
    if (content.spec.driver !== driverName || handle?.daemon !== daemonName) continue;
    if (held.has(handle.id) || content.metadata.deletionTimestamp !== undefined) continue;
    if (await isThere(client.getSnapshot(handle.id, { signal }))) continue;
    orphans.push({ kind: 'content', name: content.metadata.name, owner: snapshotOf(content) });
  }
  return orphans;
}

/** It may have been made after the list: only the answer to the question for it counts. */
async function isThere(call: Promise<unknown>): Promise<boolean> {
  try {
    await call;
    return true;
  } catch (error) {
    if (isProblemError(error) && error.kind === 'not-found') return false;
    throw error;
  }
}

function orphanOf(kind: 'volume' | 'snapshot', { id, labels }: Held): Orphan {
  return { kind, name: id, owner: `${labels['varve.dev/kind']} ${objectKey(nameOf(labels))}` };
}

function nameOf(labels: Labels): { readonly namespace: string; readonly name: string } {
  return {
    namespace: labels['varve.dev/namespace'] ?? 'unknown',
    name: labels['varve.dev/name'] ?? 'unknown',
  };
}

function claimOf({ spec }: PersistentVolume): string {
  const { namespace, name = 'none' } = spec.claimRef ?? {};
  return `PersistentVolumeClaim ${objectKey({ namespace, name })}`;
}

function snapshotOf({ spec }: VolumeSnapshotContent): string {
  const { namespace, name = 'none' } = spec.volumeSnapshotRef;
  return `VolumeSnapshot ${objectKey({ namespace, name })}`;
}
