/** The queries of lists: filters by label, and the whole as the reactor takes it. */
import type { Labels } from '@varve/contract/identifier';
import { ProblemError } from '@varve/contract/problem';

import type { ListArgument } from '../reactor/messages.ts';

interface ListQuery {
  readonly limit: number;
  readonly after?: string | undefined;
  readonly label?: string | readonly string[] | undefined;
  readonly pool?: string | undefined;
  readonly volume?: string | undefined;
  readonly space: 'true' | 'false';
}

/** A filter by label: an undefined value means "has the key". */
type LabelFilter = ListArgument['labels'][number];

/** The query of a list of volumes or snapshots. */
export function toListArgument(query: ListQuery): ListArgument {
  return {
    limit: query.limit,
    after: query.after,
    labels: parseLabelFilters(query.label),
    pool: query.pool,
    volume: query.volume,
    withSpace: query.space === 'true',
  };
}

/** @throws ProblemError `invalid-argument` for a filter without a key. */
export function parseLabelFilters(label: ListQuery['label']): readonly LabelFilter[] {
  return (typeof label === 'string' ? [label] : (label ?? [])).map(parseLabel);
}

/** Whether all filters hold. */
export function matchesLabels(labels: Labels, filters: readonly LabelFilter[]): boolean {
  return filters.every(({ key, value }) =>
    value === undefined ? Object.hasOwn(labels, key) : labels[key] === value,
  );
}

function parseLabel(text: string): LabelFilter {
  const at = text.indexOf('=');
  const key = at < 0 ? text : text.slice(0, at);
  if (key === '') {
    throw new ProblemError(
      'invalid-argument',
      `Reading the label filter ${JSON.stringify(text)} failed: it must be key=value or key`,
      { field: 'label' },
    );
  }
  return { key, value: at < 0 ? undefined : text.slice(at + 1) };
}
