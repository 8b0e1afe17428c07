/**
 * All kinds that are served at the moment: the built-in ones, and those of CustomResourceDefinitions, which
 * come and go.
 */
import { formatApiVersion } from '../objects/api-object.ts';
import type { ResourceDefinition } from './resource-definition.ts';

/** A group with its versions, the preferred one first. */
export interface ServedGroup {
  readonly group: string;
  readonly versions: readonly string[];
}

/** The table of served kinds. */
export class Registry {
  readonly #definitions = new Map<string, ResourceDefinition>();
  /** Definitions that a CustomResourceDefinition contributed, by its name. */
  readonly #contributed = new Map<string, readonly ResourceDefinition[]>();
  #generation = 0;
  /** Computed when they are asked for, until the served kinds change. */
  #sorted: readonly ResourceDefinition[] | undefined;
  #stored: ReadonlyMap<string, ResourceDefinition> | undefined;

  constructor(builtIn: readonly ResourceDefinition[]) {
    for (const definition of builtIn) this.#definitions.set(keyOf(definition), definition);
  }

  /** Changes whenever the served kinds change; what is computed from them may be kept as long as it stays. */
  get generation(): number {
    return this.#generation;
  }

  /** The definition behind a URL. */
  find(group: string, version: string, resource: string): ResourceDefinition | undefined {
    return this.#definitions.get(`${formatApiVersion({ group, version })}/${resource}`);
  }

  /** The definition of a kind, as named in an object. */
  findKind(apiVersion: string, kind: string): ResourceDefinition | undefined {
    return this.definitions().find(
      (definition) => formatApiVersion(definition) === apiVersion && definition.kind === kind,
    );
  }

  /** All definitions, sorted by group, version and name. */
  definitions(): readonly ResourceDefinition[] {
    this.#sorted ??= [...this.#definitions.values()].sort((left, right) =>
      sortKeyOf(left) < sortKeyOf(right) ? -1 : 1,
    );
    return this.#sorted;
  }

  /**
   * One definition for each store of objects, by its key: where several versions share a store, the preferred
   * version's; where two groups do, the first group's.
   */
  storedDefinitions(): ReadonlyMap<string, ResourceDefinition> {
    if (this.#stored !== undefined) return this.#stored;
    const chosen = new Map<string, ResourceDefinition>();
    for (const { group, versions } of this.groups()) {
      for (const version of versions) {
        for (const definition of this.ofGroupVersion(group, version)) {
          if (!chosen.has(definition.storageKey)) chosen.set(definition.storageKey, definition);
        }
      }
    }
    this.#stored = chosen;
    return chosen;
  }

  /** The definitions of one group and version. */
  ofGroupVersion(group: string, version: string): ResourceDefinition[] {
    return this.definitions().filter((each) => each.group === group && each.version === version);
  }

  /** All groups, the core group first. */
  groups(): ServedGroup[] {
    const versions = new Map<string, Set<string>>();
    for (const { group, version } of this.definitions()) {
      const known = versions.get(group) ?? new Set();
      versions.set(group, known.add(version));
    }
    return [...versions].map(([group, each]) => ({
      group,
      versions: [...each].sort(compareVersions),
    }));
  }

  /** Serves what a CustomResourceDefinition defines, in place of what it defined before. */
  contribute(source: string, definitions: readonly ResourceDefinition[]): void {
    this.withdraw(source);
    for (const definition of definitions) this.#definitions.set(keyOf(definition), definition);
    this.#contributed.set(source, definitions);
    this.#changed();
  }

  /** Stops serving what a CustomResourceDefinition defined. */
  withdraw(source: string): void {
    for (const definition of this.#contributed.get(source) ?? []) {
      this.#definitions.delete(keyOf(definition));
    }
    if (this.#contributed.delete(source)) this.#changed();
  }

  #changed(): void {
    this.#generation++;
    this.#sorted = undefined;
    this.#stored = undefined;
  }
}

function keyOf(definition: ResourceDefinition): string {
  return `${formatApiVersion(definition)}/${definition.resource}`;
}

/** The core group, which has the empty name, comes first. */
function sortKeyOf({ group, version, resource }: ResourceDefinition): string {
  return `${group}/${version}/${resource}`;
}

/**
 * Kubernetes' order of versions: stable before beta before alpha, higher numbers first, anything else last,
 * by name.
 */
export function compareVersions(left: string, right: string): number {
  const leftRank = versionRank(left);
  const rightRank = versionRank(right);
  for (let index = 0; index < leftRank.length; index++) {
    const difference = (rightRank[index] ?? 0) - (leftRank[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return left < right ? -1 : left > right ? 1 : 0;
}

function versionRank(version: string): [number, number, number] {
  const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
  if (match === null) return [0, 0, 0];
  const [, major, stage, minor] = match;
  const stability = stage === undefined ? 3 : stage === 'beta' ? 2 : 1;
  return [stability, Number(major), Number(minor ?? 0)];
}
