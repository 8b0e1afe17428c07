/**
 * ICReq and ICResp (TCP Transport, section 3.6.2.2): which digests are used, and how much data one PDU carries.
 * Padding is asked for by no host that exists, and confuses some that do; it is refused.
 */
import type { PduTerms } from '../pdu/check-header.ts';
import { badField } from '../pdu/check-header.ts';
import { encodeIcResp } from '../pdu/encode-pdu.ts';
import type { PduViolation } from '../pdu/pdu-violation.ts';
import { FatalError } from '../wire-constants.ts';

const headerDigestBit = 1;
const dataDigestBit = 2;
const hpdaMax = 31;

/** Sets the terms and answers, or says what is wrong. */
export function answerIcReq(header: Buffer, terms: PduTerms): Buffer | PduViolation {
  const formatVersion = header.readUInt16LE(8);
  if (formatVersion !== 0) return badField(8, `PFV ${formatVersion}`);
  const alignment = header[10]!;
  if (alignment > hpdaMax) return badField(10, `HPDA ${alignment}`);
  if (alignment !== 0) {
    const message = `HPDA ${alignment}: no padding is sent`;
    return { fatalError: FatalError.UNSUPPORTED_PARAMETER, information: 10, message };
  }
  const digestBits = header[11]! & (headerDigestBit | dataDigestBit);
  terms.isInitialized = true;
  terms.hasHeaderDigest = (digestBits & headerDigestBit) !== 0;
  terms.hasDataDigest = (digestBits & dataDigestBit) !== 0;
  return encodeIcResp(digestBits, terms.h2cDataBytesMax);
}
