/**
 * Installs the definitions that the cluster lacks. Our own group is always ours. The snapshot API belongs to
 * the cluster: ours is installed only where there is none at all, and from then on kept up to date; a
 * definition without our label is never touched. An older operator never puts an older definition back.
 */
import type { Clock } from '@varve/common/clock';
import { waitFor } from '@varve/common/clock';
import type { Logger } from '@varve/common/logger';
import { definitionAnnotations, managedByLabel } from '@varve/contract/kubernetes/custom-resource';
import type { CustomResourceManifest } from '@varve/contract/kubernetes/custom-resource';
import { ownManifests, snapshotManifests } from '@varve/contract/kubernetes/resource-catalogue';
import { isAlreadyExists, isConflict, isNotFound } from '../kube/api-errors.ts';
import type { CustomResourceDefinition } from '../kube/core-kinds.ts';
import type { KubeClient } from '../kube/kube-client.ts';
import type { Draft } from '../kube/kubernetes-object.ts';
import { customResourceDefinitions } from '../kube/resource.ts';

/** What the installer needs. */
export interface DefinitionDependencies {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Logger;
}

/** API servers serve a new kind within a second or two. */
const establishedPollMs = 200;

type Held = ReadonlyMap<string, CustomResourceDefinition>;

/**
 * Makes sure that all definitions that the operator needs are there and served; waits for them as long as it
 * takes, until `signal` is aborted. Tells whether those of snapshots are ours. Rejects with an ApiError when the API
 * server does not let us look.
 */
export async function installDefinitions(
  dependencies: DefinitionDependencies,
  signal: AbortSignal,
): Promise<{ readonly hasOwnSnapshotDefinitions: boolean }> {
  const own = ownManifests();
  const snapshot = snapshotManifests();
  const held = await readHeld([...own, ...snapshot], dependencies.client);
  const hasForeign = snapshot.some(({ metadata }) => isForeign(held.get(metadata.name)));
  if (hasForeign) dependencies.log.info('the cluster brings its own snapshot definitions');
  for (const manifest of [...own, ...snapshot]) {
    const isOwn = own.includes(manifest);
    const definition = held.get(manifest.metadata.name);
    // Part of a foreign set is missing: its owner has to complete it, two sets must not be mixed.
    if (!isOwn && hasForeign && definition === undefined) {
      const { name } = manifest.metadata;
      dependencies.log.warn(
        { definition: name },
        'the cluster’s snapshot definitions are not complete',
      );
      continue;
    }
    await install(manifest, definition, dependencies);
  }
  for (const { metadata } of [...own, ...snapshot]) {
    await waitUntilServed(metadata.name, dependencies, signal);
  }
  return { hasOwnSnapshotDefinitions: !hasForeign };
}

async function readHeld(
  manifests: readonly CustomResourceManifest[],
  client: KubeClient,
): Promise<Held> {
  const held = new Map<string, CustomResourceDefinition>();
  for (const { metadata } of manifests) {
    const definition = await find(client, metadata.name);
    if (definition !== undefined) held.set(metadata.name, definition);
  }
  return held;
}

async function find(
  client: KubeClient,
  name: string,
): Promise<CustomResourceDefinition | undefined> {
  try {
    return await client.get(customResourceDefinitions, { name });
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

async function install(
  manifest: CustomResourceManifest,
  held: CustomResourceDefinition | undefined,
  { client, log }: DefinitionDependencies,
): Promise<void> {
  const { name } = manifest.metadata;
  try {
    if (held === undefined) {
      await client.create(
        customResourceDefinitions,
        manifest as unknown as Draft<CustomResourceDefinition>,
      );
      log.info({ definition: name }, 'installed the definition');
    } else if (!isForeign(held) && isOlder(held, manifest)) {
      const { labels, annotations } = manifest.metadata;
      await client.patch(
        customResourceDefinitions,
        { name },
        {
          type: 'merge',
          body: {
            metadata: {
              resourceVersion: held.metadata.resourceVersion,
              labels,
              annotations,
            },
            spec: manifest.spec,
          },
        },
      );
      log.info({ definition: name }, 'brought the definition up to date');
    }
  } catch (error) {
    // Another instance was faster, and does the same.
    if (!isAlreadyExists(error) && !isConflict(error)) throw error;
  }
}

function isForeign(held: CustomResourceDefinition | undefined): boolean {
  if (held === undefined) return false;
  return held.metadata.labels?.[managedByLabel.key] !== managedByLabel.value;
}

function isOlder(held: CustomResourceDefinition, manifest: CustomResourceManifest): boolean {
  const before = held.metadata.annotations ?? {};
  const after = manifest.metadata.annotations;
  const heldRevision = Number(before[definitionAnnotations.revision] ?? 0);
  const ourRevision = Number(after[definitionAnnotations.revision]);
  if (heldRevision !== ourRevision) return heldRevision < ourRevision;
  return before[definitionAnnotations.hash] !== after[definitionAnnotations.hash];
}

async function waitUntilServed(
  name: string,
  { client, clock, log }: DefinitionDependencies,
  signal: AbortSignal,
): Promise<void> {
  let hasTold = false;
  while (!signal.aborted) {
    const definition = await find(client, name);
    const conditions = definition?.status?.conditions ?? [];
    if (conditions.some(({ type, status }) => type === 'Established' && status === 'True')) return;
    if (!hasTold) log.info({ definition: name }, 'waiting for the definition to be served');
    hasTold = true;
    await waitFor(clock, establishedPollMs, signal);
  }
}
