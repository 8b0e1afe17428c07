/** What every operation works on, and what a request asks of it beyond its object. */
import { badRequest } from '../objects/api-error.ts';
import type { Registry } from '../registry/registry.ts';
import type { ClusterView, ResourceDefinition } from '../registry/resource-definition.ts';
import type { ObjectStore } from '../storage/object-store.ts';

/** The server's state, as operations see it. */
export interface ServerState {
  readonly store: ObjectStore;
  readonly registry: Registry;
  readonly now: () => Date;
}

/** What a rule may see of the state. */
export function clusterView(state: ServerState): ClusterView {
  return {
    now: state.now,
    get: (storageKey, key) => state.store.get(storageKey, key),
    list: (storageKey, namespace) => state.store.list(storageKey, namespace),
  };
}

/** Names one object (or, with an empty name, a collection) of a kind. */
export interface ObjectTarget {
  readonly definition: ResourceDefinition;
  readonly namespace: string | undefined;
  readonly name: string;
}

/** How unknown and duplicate fields are taken. */
export type FieldValidation = 'Ignore' | 'Warn' | 'Strict';

/** Options of a write. */
export interface WriteOptions {
  readonly isDryRun: boolean;
  readonly fieldManager: string;
  /** Whether the client named its field manager, which an apply demands. */
  readonly isManagerNamed: boolean;
  readonly fieldValidation: FieldValidation;
  /** For server-side apply: take over fields that others own. */
  readonly isForced: boolean;
  readonly isStatus: boolean;
  /** Collects what goes into `Warning` headers. */
  readonly warnings: string[];
}

/** The options of a write inside the server: nothing is asked for. */
export function internalWriteOptions(fieldManager: string, isStatus = false): WriteOptions {
  return {
    isDryRun: false,
    fieldManager,
    isManagerNamed: true,
    fieldValidation: 'Warn',
    isForced: false,
    isStatus,
    warnings: [],
  };
}

/** Reads the options of a write from a query. */
export function parseWriteOptions(
  query: URLSearchParams,
  userAgent: string,
  isStatus: boolean,
): WriteOptions {
  const dryRun = query.getAll('dryRun').filter((value) => value !== '');
  if (dryRun.some((value) => value !== 'All')) {
    throw badRequest(`invalid dryRun ${JSON.stringify(dryRun.join(','))}: only "All" is allowed`);
  }
  const named = query.get('fieldManager') ?? '';
  const fieldValidation = query.get('fieldValidation') ?? 'Warn';
  if (!['Ignore', 'Warn', 'Strict', ''].includes(fieldValidation)) {
    throw badRequest(
      `invalid fieldValidation ${JSON.stringify(fieldValidation)}: allowed are "Ignore", "Warn" and "Strict"`,
    );
  }
  return {
    isDryRun: dryRun.length > 0,
    fieldManager: named === '' ? managerOfUserAgent(userAgent) : named,
    isManagerNamed: named !== '',
    fieldValidation: fieldValidation === '' ? 'Warn' : (fieldValidation as FieldValidation),
    isForced: query.get('force') === 'true',
    isStatus,
    warnings: [],
  };
}

/** Without `fieldManager` the manager is the program's name, as in Kubernetes. */
function managerOfUserAgent(userAgent: string): string {
  const name = userAgent.split('/')[0]?.trim() ?? '';
  return name === '' ? 'unknown' : name.slice(0, 128);
}
