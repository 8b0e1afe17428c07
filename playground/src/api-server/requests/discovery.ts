/**
 * Discovery: what is served, in the plain form (one document a group version) and the aggregated one
 * (KEP-3352).
 */
import { formatApiVersion } from '../objects/api-object.ts';
import type { JsonObject } from '../objects/json.ts';
import type { Registry } from '../registry/registry.ts';
import type { ResourceDefinition } from '../registry/resource-definition.ts';

const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];
const statusVerbs = ['get', 'patch', 'update'];

/** `/api`: the versions of the core group. */
export function coreVersions(serverAddress: string): JsonObject {
  return {
    kind: 'APIVersions',
    versions: ['v1'],
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress }],
  };
}

function groupDocument(group: string, versions: readonly string[]): JsonObject {
  const each = versions.map((version) => ({
    groupVersion: formatApiVersion({ group, version }),
    version,
  }));
  return { name: group, versions: each, preferredVersion: each[0] ?? {} };
}

/** `/apis`: all named groups. */
export function groupList(registry: Registry): JsonObject {
  const groups = registry
    .groups()
    .filter(({ group }) => group !== '')
    .map(({ group, versions }) => groupDocument(group, versions));
  return { kind: 'APIGroupList', apiVersion: 'v1', groups };
}

/** `/apis/<group>`: one group; undefined if it is not served. */
export function groupOf(registry: Registry, name: string): JsonObject | undefined {
  const found = registry.groups().find(({ group }) => group === name);
  if (found === undefined) return undefined;
  return { kind: 'APIGroup', apiVersion: 'v1', ...groupDocument(found.group, found.versions) };
}

/** `/api/v1`, `/apis/<group>/<version>`: the kinds of a group version; undefined if it is not served. */
export function resourceList(
  registry: Registry,
  group: string,
  version: string,
): JsonObject | undefined {
  const definitions = registry.ofGroupVersion(group, version);
  if (definitions.length === 0) return undefined;
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: formatApiVersion({ group, version }),
    resources: definitions.flatMap((definition) => [
      plainResource(definition),
      ...(definition.hasStatus ? [plainStatus(definition)] : []),
    ]),
  };
}

function plainResource(definition: ResourceDefinition): JsonObject {
  const { resource, singular, isNamespaced, kind, shortNames, categories } = definition;
  return {
    name: resource,
    singularName: singular,
    namespaced: isNamespaced,
    kind,
    verbs,
    ...(shortNames.length === 0 ? {} : { shortNames: [...shortNames] }),
    ...(categories.length === 0 ? {} : { categories: [...categories] }),
  };
}

function plainStatus({ resource, isNamespaced, kind }: ResourceDefinition): JsonObject {
  return {
    name: `${resource}/status`,
    singularName: '',
    namespaced: isNamespaced,
    kind,
    verbs: statusVerbs,
  };
}

/** `/api` or `/apis` in the aggregated form. */
export function aggregatedDiscovery(
  registry: Registry,
  form: { version: 'v2' | 'v2beta1'; isCore: boolean },
): JsonObject {
  const items = registry
    .groups()
    .filter(({ group }) => (group === '') === form.isCore)
    .map(({ group, versions }) => ({
      metadata: { name: group === '' ? null : group, creationTimestamp: null },
      versions: versions.map((version) => ({
        version,
        resources: registry
          .ofGroupVersion(group, version)
          .map((definition) => aggregatedResource(definition)),
        freshness: 'Current',
      })),
    }));
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${form.version}`,
    metadata: {},
    items,
  };
}

function aggregatedResource(definition: ResourceDefinition): JsonObject {
  const { group, version, kind, resource, singular, shortNames, categories } = definition;
  const responseKind = { group, version, kind };
  return {
    resource,
    responseKind,
    scope: definition.isNamespaced ? 'Namespaced' : 'Cluster',
    singularResource: singular,
    verbs,
    ...(shortNames.length === 0 ? {} : { shortNames: [...shortNames] }),
    ...(categories.length === 0 ? {} : { categories: [...categories] }),
    ...(definition.hasStatus
      ? { subresources: [{ subresource: 'status', responseKind, verbs: statusVerbs }] }
      : {}),
  };
}
