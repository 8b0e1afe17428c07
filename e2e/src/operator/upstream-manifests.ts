import {
  managedByLabel,
  type CustomResourceManifest,
} from '@varve/contract/kubernetes/custom-resource';
import { snapshotManifests } from '@varve/contract/kubernetes/resource-catalogue';

/** The snapshot definitions without what we add, and without our label: as those of others, not ours to change. */
export function upstreamDefinitions(): readonly object[] {
  return snapshotManifests().map(asUpstream);
}

function asUpstream(manifest: CustomResourceManifest): object {
  const text = JSON.stringify(manifest, (key, value: unknown) =>
    key === 'conditions' || key === managedByLabel.key ? undefined : value,
  );
  return JSON.parse(text) as object;
}
