/** The three manifests of the snapshot page, as they stand in the documentation. */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import type { JsonObject } from '../api-server/objects/json.ts';
import type { ObjectManifest } from '../cluster/cluster-client.ts';

/** A manifest of the page. */
export type PageManifest = 'volume-snapshot' | 'restored-claim' | 'restored-pod';

/** Reads a manifest and places it in a namespace, as `kubectl apply -n` does. */
export function readPageManifest(
  name: PageManifest,
  namespace: string,
): JsonObject & ObjectManifest {
  const file = new URL(`../../../docs/examples/${name}.yaml`, import.meta.url);
  const manifest = parse(readFileSync(file, 'utf8')) as JsonObject & ObjectManifest;
  return { ...manifest, metadata: { ...manifest.metadata, namespace } };
}
