/** What the protocol core sees of the exports: names, sizes, access. Who holds them is not its business. */
import { NbdTransmissionFlag } from './wire-constants.ts';

/** One export as it is now. */
export interface NbdExport {
  /** The canonical name. */
  readonly name: string;
  readonly description: string;
  readonly sizeBytes: number;
  readonly isReadOnly: boolean;
}

/** Why an export is not to be had; `message` is shown to the client's user. */
export interface NbdExportRefusal {
  readonly refused: 'unknown' | 'busy' | 'shutting-down';
  readonly message: string;
}

/** The export is to be had, and not here: whoever has it goes on with the connection. */
export interface NbdExportElsewhere {
  readonly elsewhere: string;
}

/** The exports of a server. Names are any text of at most 4096 bytes: they must never be taken for paths. */
export interface NbdExports {
  /** All that a client may see, in order. */
  list(): Iterable<Pick<NbdExport, 'name' | 'description'>>;
  /** Looks without opening. */
  describe(name: string): NbdExport | NbdExportRefusal;
  /** Opens it for this connection; asked for at most once with success. */
  open(name: string): NbdExport | NbdExportRefusal | NbdExportElsewhere;
}

/** Tells a refusal from an export. */
export function isRefusal(
  answer: NbdExport | NbdExportRefusal | NbdExportElsewhere,
): answer is NbdExportRefusal {
  return 'refused' in answer;
}

/**
 * What the export can do (proto, Transmission flags).
 *
 * - Multi-conn is true of all exports: connections share one volume, so a flush on any of them covers writes
 *   that completed on all.
 * - DF needs structured replies, FAST_ZERO needs WRITE_ZEROES.
 * - A read-only export has nothing to trim or to clear.
 */
export function transmissionFlags(isReadOnly: boolean, hasStructuredReplies: boolean): number {
  const flag = NbdTransmissionFlag;
  let flags = flag.HAS_FLAGS | flag.SEND_FLUSH | flag.SEND_FUA | flag.CAN_MULTI_CONN;
  if (hasStructuredReplies) flags |= flag.SEND_DF;
  if (isReadOnly) return flags | flag.READ_ONLY;
  return flags | flag.SEND_TRIM | flag.SEND_WRITE_ZEROES | flag.SEND_FAST_ZERO;
}
