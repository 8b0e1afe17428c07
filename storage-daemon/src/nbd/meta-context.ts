/**
 * Metadata contexts (proto, Metadata querying): what a client may ask a block status of. We have
 * `base:allocation`. Unknown leaves and foreign namespaces are ignored, as the protocol wants it.
 */
import { nbdMetaQueriesMax } from '../limits.ts';
import { OptionError, OptionReader } from './option-reader.ts';
import { NbdOptionReply } from './wire-constants.ts';

/** The context that tells data from holes. */
export const allocationContext = 'base:allocation';
/** Its id in a selection; any number that is unique on the connection. */
export const allocationContextId = 1;

/** The data of LIST_META_CONTEXT and SET_META_CONTEXT. */
export interface MetaContextRequest {
  readonly exportName: string;
  readonly queries: readonly string[];
}

/** @throws OptionError */
export function decodeMetaContextRequest(data: Buffer): MetaContextRequest {
  const reader = new OptionReader(data);
  const exportName = reader.readString('the export name');
  const count = reader.readU32('the number of queries');
  if (count > nbdMetaQueriesMax) {
    const message = `${count} queries; at most ${nbdMetaQueriesMax} are allowed`;
    throw new OptionError(NbdOptionReply.ERR_TOO_BIG, message);
  }
  const queries = Array.from({ length: count }, () => reader.readString('a query'));
  reader.expectEnd();
  return { exportName, queries };
}

/** Whether a list of queries means `base:allocation`; no query at all lists everything. */
export function listsAllocation(queries: readonly string[]): boolean {
  checkQueries(queries);
  return queries.length === 0 || queries.includes('base:') || selectsAllocation(queries);
}

/** Whether queries select `base:allocation`; a namespace alone selects nothing. */
export function selectsAllocation(queries: readonly string[]): boolean {
  checkQueries(queries);
  return queries.includes(allocationContext);
}

function checkQueries(queries: readonly string[]): void {
  const wrong = queries.find((query) => !query.includes(':'));
  if (wrong !== undefined) {
    throw new OptionError(NbdOptionReply.ERR_INVALID, `query "${wrong}" names no namespace`);
  }
}
