/** From a request to its answer, without sockets. */
import { ApiError, isApiError, methodNotAllowed, unknownPath } from '../objects/api-error.ts';
import type { ServerState } from '../operations/server-state.ts';
import type { ModelSchemas } from '../schema/model-schemas.ts';
import {
  aggregatedDiscovery,
  coreVersions,
  groupList,
  groupOf,
  resourceList,
} from './discovery.ts';
import { negotiateDiscovery } from './media-types.ts';
import { openApiV2Answer } from './openapi-v2.ts';
import { openApiDocument, openApiIndex } from './openapi.ts';
import { jsonAnswer, textAnswer, type ApiAnswer, type ApiRequest } from './request.ts';
import { parseResourceUrl } from './request-target.ts';
import { serveResource } from './serve-resource.ts';

/** What `/version` says: the Kubernetes whose API this is a subset of. */
export const serverVersion = {
  major: '1',
  minor: '36',
  gitVersion: 'v1.36.3+varve-playground',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: '',
  compiler: 'node',
  platform: `${process.platform}/${process.arch}`,
} as const;

/** Answers requests. */
export class Router {
  readonly #state: ServerState;
  readonly #models: ModelSchemas;
  readonly #serverAddress: () => string;

  constructor(state: ServerState, models: ModelSchemas, serverAddress: () => string) {
    this.#state = state;
    this.#models = models;
    this.#serverAddress = serverAddress;
  }

  /** Answers a request; a refusal is an answer too. Errors that are no refusals are bugs and are thrown. */
  answer(request: ApiRequest): ApiAnswer {
    try {
      return this.#route(request);
    } catch (error) {
      if (!isApiError(error)) throw error;
      return jsonAnswer(error.toStatus(), { status: error.code });
    }
  }

  #route(request: ApiRequest): ApiAnswer {
    const parts = request.path.split('/').filter((part) => part !== '');
    switch (parts[0]) {
      case 'version':
        return readOnly(request, () => jsonAnswer(serverVersion));
      case 'healthz':
      case 'readyz':
      case 'livez':
        return readOnly(request, () => textAnswer('ok'));
      case 'openapi':
        return readOnly(request, () => this.#openApi(parts.slice(1)));
      case 'api':
      case 'apis':
        return this.#api(request, parts);
      case undefined:
        return readOnly(request, () => jsonAnswer({ paths: this.#paths() }));
      default:
        throw unknownPath();
    }
  }

  #api(request: ApiRequest, parts: readonly string[]): ApiAnswer {
    const isCore = parts[0] === 'api';
    const depth = isCore ? parts.length : parts.length - 1;
    if (parts.length === 1) return readOnly(request, () => this.#discoverRoot(request, isCore));
    if (depth > 2)
      return serveResource(
        this.#state,
        request,
        parseResourceUrl(this.#state.registry, request.path),
      );
    const [, first = '', second = ''] = parts;
    const { registry } = this.#state;
    const document =
      depth === 1
        ? groupOf(registry, first)
        : resourceList(registry, isCore ? '' : first, isCore ? first : second);
    if (document === undefined) {
      parseResourceUrl(registry, `${request.path}/-`);
      throw unknownPath();
    }
    return readOnly(request, () => jsonAnswer(document));
  }

  #discoverRoot(request: ApiRequest, isCore: boolean): ApiAnswer {
    const version = negotiateDiscovery(request.accept);
    const { registry } = this.#state;
    if (version === undefined) {
      return jsonAnswer(isCore ? coreVersions(this.#serverAddress()) : groupList(registry));
    }
    return jsonAnswer(aggregatedDiscovery(registry, { version, isCore }), {
      mediaType: `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`,
    });
  }

  #openApi(parts: readonly string[]): ApiAnswer {
    const { registry } = this.#state;
    if (parts.length === 1 && parts[0] === 'v2') return openApiV2Answer(serverVersion.gitVersion);
    if (parts[0] !== 'v3') throw unknownPath();
    if (parts.length === 1) return jsonAnswer(openApiIndex(registry, this.#models));
    const groupVersion =
      parts[1] === 'api'
        ? { group: '', version: parts[2] ?? '' }
        : { group: parts[2] ?? '', version: parts[3] ?? '' };
    if (registry.ofGroupVersion(groupVersion.group, groupVersion.version).length === 0) {
      throw unknownPath();
    }
    return jsonAnswer(openApiDocument(registry, this.#models, groupVersion));
  }

  #paths(): string[] {
    const versions = this.#state.registry
      .groups()
      .flatMap(({ group, versions }) =>
        versions.map((version) => (group === '' ? `/api/${version}` : `/apis/${group}/${version}`)),
      );
    return [
      '/api',
      '/apis',
      ...versions,
      '/healthz',
      '/livez',
      '/openapi/v3',
      '/readyz',
      '/version',
    ];
  }
}

function readOnly(request: ApiRequest, answer: () => ApiAnswer): ApiAnswer {
  if (request.method === 'GET') return answer();
  throw methodNotAllowed({ group: '', resource: request.path }, request.method.toLowerCase());
}

/** The refusal of a request that met a bug of ours: the message names it, the log has the rest. */
export function internalError(error: unknown): ApiError {
  const what = error instanceof Error ? error.message : String(error);
  return new ApiError({
    code: 500,
    reason: 'InternalError',
    message: `Internal error occurred: ${what}`,
  });
}
