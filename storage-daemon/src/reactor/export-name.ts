/** Names of exports: `volume/<id>` and `snapshot/<id>`, ids as in the REST API. */
import type { NodeName } from '../store/store-api.ts';

const pattern = /^(?<kind>volume|snapshot)\/(?<id>[a-z0-9](?:[a-z0-9.-]{0,98}[a-z0-9])?)$/;

/** The node that an export's name means; undefined if it cannot be one's name. */
export function parseExportName(name: string): NodeName | undefined {
  const found = pattern.exec(name)?.groups;
  if (!found) return undefined;
  return { kind: found['kind'] as NodeName['kind'], name: found['id']! };
}

/** The name of a node's export. */
export function formatExportName({ kind, name }: NodeName): string {
  return `${kind}/${name}`;
}
