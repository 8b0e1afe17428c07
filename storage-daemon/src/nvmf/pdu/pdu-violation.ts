/** A PDU that leaves no way to go on: what a C2HTermReq says of it (TCP Transport, section 3.6.2.5). */
import type { FatalErrorValue } from '../wire-constants.ts';

/** Why a connection must end. */
export interface PduViolation {
  readonly fatalError: FatalErrorValue;
  /** Offset of the bad field in the header, or the digest that was received; else 0. */
  readonly information: number;
  /** For the log. */
  readonly message: string;
}
