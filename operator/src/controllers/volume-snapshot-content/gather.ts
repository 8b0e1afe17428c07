import type { KubeClient } from '../../kube/kube-client.ts';
import { isTerminating, objectKey } from '../../kube/kubernetes-object.ts';
import type { Listers } from '../../kube/lister.ts';
import { volumeSnapshotContents, volumeSnapshots } from '../../kube/resource.ts';
import type { VolumeSnapshotContent } from '../../kube/snapshot-kinds.ts';
import { readLive } from '../shared/live-read.ts';
import type { Claimant, World } from './world.ts';

/** Where the world is read from. */
export interface GatherDependencies {
  readonly client: KubeClient;
  readonly listers: Listers;
}

/** Reads all that a decision about the content of this name needs. Judges nothing. */
export async function gather(name: string, dependencies: GatherDependencies): Promise<World> {
  const { client, listers } = dependencies;
  const cached = listers.of(volumeSnapshotContents).get(name);
  if (cached === undefined) return { content: undefined, claimant: 'none' };
  // An administrator may have changed the policy to Retain a moment ago: what deletes data reads afresh.
  const content = isTerminating(cached)
    ? await readLive(client, volumeSnapshotContents, { name })
    : cached;
  if (content === undefined) return { content, claimant: 'none' };
  return { content, claimant: await findClaimant(content, dependencies) };
}

async function findClaimant(
  content: VolumeSnapshotContent,
  { client, listers }: GatherDependencies,
): Promise<Claimant> {
  const { namespace, name = '', uid = '' } = content.spec.volumeSnapshotRef;
  if (uid === '') return 'none';
  const cached = listers.of(volumeSnapshots).get(objectKey({ namespace, name }));
  if (cached?.metadata.uid === uid) return 'alive';
  if (!isTerminating(content)) return 'gone';
  // The absence of an object in a cache proves nothing; what follows from it here deletes data.
  const live = await readLive(client, volumeSnapshots, { namespace, name });
  return live?.metadata.uid === uid ? 'alive' : 'gone';
}
