/** The names under which nodes are exported and spoken of: `volume/<id>` and `snapshot/<id>`. */
import type { NodeName } from '../../store/store-api.ts';

/** The export name of a node; it names the object in events, too. */
export function exportNameOf({ kind, name }: NodeName): string {
  return `${kind}/${name}`;
}
