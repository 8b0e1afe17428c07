import type { CustomResourceManifest } from './custom-resource.ts';
import { createCustomResourceManifest } from './custom-resource.ts';
import {
  volumeSnapshotClassResource,
  volumeSnapshotContentResource,
  volumeSnapshotResource,
} from './snapshot-resources.ts';
import { storageDaemonResource } from './storage-daemon.ts';
import { volumeRevertResource } from './volume-revert.ts';

/** Definitions of our own group: always ours to install. */
export function ownManifests(): readonly CustomResourceManifest[] {
  return [
    createCustomResourceManifest(storageDaemonResource),
    createCustomResourceManifest(volumeRevertResource),
  ];
}

/** Definitions of the snapshot API: for clusters that have none. All of them, or none of them. */
export function snapshotManifests(): readonly CustomResourceManifest[] {
  return [
    createCustomResourceManifest(volumeSnapshotClassResource),
    createCustomResourceManifest(volumeSnapshotContentResource),
    createCustomResourceManifest(volumeSnapshotResource),
  ];
}
