/** What a URL means: which kind, which object, which part of it. */
import { ApiError, notImplemented, unknownPath } from '../objects/api-error.ts';
import type { Registry } from '../registry/registry.ts';
import type { ResourceDefinition } from '../registry/resource-definition.ts';

/** A URL of a collection, an object or a subresource. */
export interface ResourceUrl {
  readonly definition: ResourceDefinition;
  readonly namespace: string | undefined;
  /** '' for a collection. */
  readonly name: string;
  readonly subresource: string | undefined;
}

/** Kinds that people may look for, and why they are not here. */
const absentGroups: Readonly<Record<string, string>> = {
  apps: 'workloads (the playground runs no pods)',
  batch: 'jobs (the playground runs no pods)',
  'rbac.authorization.k8s.io':
    'role-based access control (the playground has one user, who may do everything)',
  'authorization.k8s.io': 'access reviews (the playground has one user, who may do everything)',
  'authentication.k8s.io': 'token reviews (the playground has one user)',
  autoscaling: 'autoscaling (the playground runs no pods)',
  policy: 'disruption budgets (the playground runs no pods)',
  'networking.k8s.io': 'networking',
  'admissionregistration.k8s.io': 'admission webhooks',
  'metrics.k8s.io': 'metrics',
};

/** Resolves a path below `/api` or `/apis`. Throws 404 or 501 where nothing is served. */
export function parseResourceUrl(registry: Registry, path: string): ResourceUrl {
  const parts = path
    .split('/')
    .filter((part) => part !== '')
    .map((part) => decodeURIComponent(part));
  const [root, ...rest] = parts;
  const group = root === 'api' ? '' : (rest.shift() ?? '');
  const version = rest.shift() ?? '';
  if (rest[0] === 'watch') throw notImplemented('the /watch/ prefix of URLs (use ?watch=true)');
  const found = locate(registry, { group, version }, rest);
  if (found !== undefined) return found;
  const reason = absentGroups[group];
  // A group that is not there at all is a plain 404 for clients that look whether it is; the sentence tells
  // people why.
  throw reason === undefined ? unknownPath() : absent(group, reason);
}

function absent(group: string, reason: string): ApiError {
  return new ApiError({
    code: 404,
    reason: 'NotFound',
    message:
      `the server could not find the requested resource: ${group}: ${reason} is not supported by the ` +
      `playground's API server`,
    details: {},
  });
}

function locate(
  registry: Registry,
  { group, version }: { group: string; version: string },
  rest: readonly string[],
): ResourceUrl | undefined {
  const find = (resource: string | undefined): ResourceDefinition | undefined =>
    resource === undefined ? undefined : registry.find(group, version, resource);
  if (rest[0] === 'namespaces' && rest.length >= 3) {
    const [, namespace, resource, name = '', subresource] = rest;
    const definition = find(resource);
    if (definition?.isNamespaced === true && rest.length <= 5) {
      return { definition, namespace, name, subresource };
    }
  }
  const [resource, name = '', subresource] = rest;
  const definition = find(resource);
  if (definition === undefined || rest.length > 3) return undefined;
  // A namespaced kind without a namespace is listed over all of them; one object cannot be named that way.
  if (definition.isNamespaced && name !== '') return undefined;
  return { definition, namespace: undefined, name, subresource };
}
