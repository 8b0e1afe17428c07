/**
 * A `dataSource` of a kind or API group that the API server does not know is dropped without a word: the claim that
 * arrives looks like one that asks for an empty volume (kubernetes#96225). What the user wrote still shows in two
 * places: kubectl's copy of the applied manifest, and the record of who set which field.
 */
import type { PersistentVolumeClaim } from '../../kube/core-kinds.ts';

const lastAppliedAnnotation = 'kubectl.kubernetes.io/last-applied-configuration';
const sourceFields = ['dataSource', 'dataSourceRef'] as const;

/** Describes the source that was dropped from the claim; undefined when none was. */
export function findDroppedSource(claim: PersistentVolumeClaim): string | undefined {
  const { dataSource, dataSourceRef } = claim.spec;
  if ((dataSource ?? dataSourceRef ?? undefined) !== undefined) return undefined;
  return appliedSource(claim) ?? ownedSource(claim);
}

function appliedSource(claim: PersistentVolumeClaim): string | undefined {
  const applied = parseJson(claim.metadata.annotations?.[lastAppliedAnnotation]);
  const spec = memberOf(applied, 'spec');
  for (const field of sourceFields) {
    const source = memberOf(spec, field);
    if (source === undefined || source === null) continue;
    const [kind, name, apiGroup] = ['kind', 'name', 'apiGroup'].map((key) =>
      JSON.stringify(memberOf(source, key) ?? ''),
    );
    return `${field} with kind ${kind}, name ${name} and apiGroup ${apiGroup}`;
  }
  return undefined;
}

function ownedSource(claim: PersistentVolumeClaim): string | undefined {
  const owned = (claim.metadata.managedFields ?? []).map((entry) =>
    memberOf(memberOf(entry, 'fieldsV1'), 'f:spec'),
  );
  return sourceFields.find((field) =>
    owned.some((spec) => memberOf(spec, `f:${field}`) !== undefined),
  );
}

function parseJson(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    // Somebody else's annotation: if it cannot be read it tells nothing.
    return undefined;
  }
}

function memberOf(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Record<string, unknown>)[key]
    : undefined;
}
