import { hasFinalizer } from '../../kube/finalizer.ts';
import type { PersistentVolume, PersistentVolumeClaim } from '../../kube/core-kinds.ts';
import type { KubeClient } from '../../kube/kube-client.ts';
import { isTerminating, objectKey } from '../../kube/kubernetes-object.ts';
import type { Listers } from '../../kube/lister.ts';
import {
  persistentVolumeClaims,
  persistentVolumes,
  storageClasses,
  storageDaemons,
  volumeSnapshotContents,
  volumeSnapshots,
} from '../../kube/resource.ts';
import { classNameOf, sourceOf } from '../shared/claim-source.ts';
import { readLive } from '../shared/live-read.ts';
import { finalizers } from '../shared/protocol-names.ts';
import { findDroppedSource } from './dropped-source.ts';
import { volumeName } from './names.ts';
import type { SourceWorld, World } from './world.ts';

/** Where the world is read from. */
export interface GatherDependencies {
  readonly client: KubeClient;
  readonly listers: Listers;
}

/** Reads all that a decision about the claim of this key needs. Judges nothing. */
export async function gather(key: string, dependencies: GatherDependencies): Promise<World> {
  const { listers } = dependencies;
  const claim = listers.of(persistentVolumeClaims).get(key);
  const className = claim === undefined ? undefined : classNameOf(claim);
  return {
    claim,
    className,
    storageClass: listers.of(storageClasses).get(className ?? ''),
    volume: claim === undefined ? undefined : await findVolume(claim, dependencies),
    source: claim === undefined ? { kind: 'none' } : findSource(claim, listers),
    daemons: listers.of(storageDaemons).list(),
  };
}

async function findVolume(
  claim: PersistentVolumeClaim,
  { client, listers }: GatherDependencies,
): Promise<PersistentVolume | undefined> {
  const name = volumeName(claim.metadata.uid);
  const cached = listers.of(persistentVolumes).get(name);
  const isGivenUp =
    hasFinalizer(claim, finalizers.claimProvisioning) &&
    (isTerminating(claim) || (claim.spec.volumeName ?? '') !== '');
  if (cached !== undefined || !isGivenUp) return cached;
  return readLive(client, persistentVolumes, { name });
}

function findSource(claim: PersistentVolumeClaim, listers: Listers): SourceWorld {
  const { namespace } = claim.metadata;
  const source = sourceOf(claim);
  if (source.kind === 'unsupported') return source;
  if (source.kind === 'none') {
    const title = findDroppedSource(claim);
    return title === undefined ? source : { kind: 'dropped', title };
  }
  const key = objectKey({ namespace, name: source.name });
  if (source.kind === 'snapshot') {
    const snapshot = listers.of(volumeSnapshots).get(key);
    const contentName = snapshot?.status?.boundVolumeSnapshotContentName ?? '';
    const content = listers.of(volumeSnapshotContents).get(contentName);
    return { ...source, snapshot, content };
  }
  const from = listers.of(persistentVolumeClaims).get(key);
  const volume = listers.of(persistentVolumes).get(from?.spec.volumeName ?? '');
  return { ...source, claim: from, volume };
}
