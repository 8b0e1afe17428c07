/**
 * Judges the first eight bytes of a PDU from a host, before anything is allocated for the rest (TCP Transport,
 * section 3.6.1):
 *
 *   OFFSET SIZE FIELD
 *   0      1    TYPE
 *   1      1    FLAGS
 *   2      1    HLEN  header without its digest
 *   3      1    PDO   where data starts; counts only if there is data
 *   4      4    PLEN  the whole PDU
 */
import { nvmePaddingBytesMax } from '../../limits.ts';
import { digestBytes, FatalError, PduFlag, PduHeaderBytes, PduType } from '../wire-constants.ts';
import type { PduViolation } from './pdu-violation.ts';

/** What was agreed with the host, and what it may send. */
export interface PduTerms {
  /** The ICReq was answered. */
  isInitialized: boolean;
  hasHeaderDigest: boolean;
  hasDataDigest: boolean;
  readonly capsuleDataBytesMax: number;
  readonly h2cDataBytesMax: number;
}

/** The layout of one PDU. */
export interface PduShape {
  type: number;
  flags: number;
  /** Header and its digest. */
  headBytes: number;
  headerBytes: number;
  paddingBytes: number;
  dataBytes: number;
  hasHeaderDigest: boolean;
  hasDataDigest: boolean;
}

const headerBytesOf: ReadonlyMap<number, number> = new Map([
  [PduType.IC_REQ, PduHeaderBytes.IC],
  [PduType.H2C_TERM_REQ, PduHeaderBytes.TERM],
  [PduType.CAPSULE_CMD, PduHeaderBytes.CAPSULE_CMD],
  [PduType.H2C_DATA, PduHeaderBytes.DATA],
]);

/** Copies of a bad header that a TermReq may carry. */
const termDataBytesMax = 128;

/** Fills `shape` from a common header; returns what is wrong with it. */
export function readShape(
  header: Buffer,
  terms: PduTerms,
  shape: PduShape,
): PduViolation | undefined {
  const type = header[0]!;
  if (!terms.isInitialized && type !== PduType.IC_REQ && type !== PduType.H2C_TERM_REQ) {
    return { fatalError: FatalError.SEQUENCE_ERROR, information: 0, message: 'no ICReq first' };
  }
  const headerBytes = headerBytesOf.get(type);
  if (headerBytes === undefined) return badField(0, `PDU type ${type}`);
  if (terms.isInitialized && type === PduType.IC_REQ) {
    return { fatalError: FatalError.SEQUENCE_ERROR, information: 0, message: 'a second ICReq' };
  }
  if (header[2] !== headerBytes) return badField(2, `HLEN ${header[2]} of PDU type ${type}`);
  const flags = header[1]!;
  const mayHaveDigests = type === PduType.CAPSULE_CMD || type === PduType.H2C_DATA;
  shape.type = type;
  shape.flags = flags;
  shape.headerBytes = headerBytes;
  shape.hasHeaderDigest = mayHaveDigests && terms.hasHeaderDigest;
  shape.headBytes = headerBytes + (shape.hasHeaderDigest ? digestBytes : 0);
  shape.hasDataDigest = false;
  shape.paddingBytes = 0;
  shape.dataBytes = 0;
  const plen = header.readUInt32LE(4);
  if (type === PduType.IC_REQ && plen !== headerBytes) return badField(4, `PLEN ${plen} of ICReq`);
  if (type === PduType.H2C_TERM_REQ) {
    if (plen < headerBytes || plen > headerBytes + termDataBytesMax) {
      return badField(4, `PLEN ${plen} of H2CTermReq`);
    }
    shape.dataBytes = plen - headerBytes;
  }
  return mayHaveDigests ? readData(header, terms, shape) : undefined;
}

/** The part behind the header of a CapsuleCmd or H2CData. */
function readData(header: Buffer, terms: PduTerms, shape: PduShape): PduViolation | undefined {
  const { type, headBytes, flags } = shape;
  const plen = header.readUInt32LE(4);
  const dataBytesMax =
    type === PduType.CAPSULE_CMD ? terms.capsuleDataBytesMax : terms.h2cDataBytesMax;
  if (((flags & PduFlag.HDGST) !== 0) !== terms.hasHeaderDigest) {
    return badField(1, `header digest flag of PDU type ${type}`);
  }
  const plenMax = headBytes + nvmePaddingBytesMax + dataBytesMax + digestBytes;
  if (plen < headBytes || plen > plenMax) return badField(4, `PLEN ${plen} of PDU type ${type}`);
  const hasDataDigestFlag = (flags & PduFlag.DDGST) !== 0;
  const hasData = plen > headBytes;
  if (hasDataDigestFlag !== terms.hasDataDigest && (hasData || hasDataDigestFlag)) {
    return badField(1, `data digest flag of PDU type ${type}`);
  }
  if (!hasData) return undefined;
  shape.hasDataDigest = terms.hasDataDigest;
  const pdo = header[3]!;
  const tailBytes = shape.hasDataDigest ? digestBytes : 0;
  const isInPlace = pdo >= headBytes && pdo <= headBytes + nvmePaddingBytesMax && pdo % 4 === 0;
  if (!isInPlace || pdo + tailBytes >= plen) return badField(3, `PDO ${pdo} with PLEN ${plen}`);
  shape.paddingBytes = pdo - headBytes;
  shape.dataBytes = plen - pdo - tailBytes;
  if (shape.dataBytes > dataBytesMax) return badField(4, `${shape.dataBytes} bytes of data`);
  return undefined;
}

/** A header field that has no allowed value. */
export function badField(offset: number, message: string): PduViolation {
  return { fatalError: FatalError.INVALID_HEADER_FIELD, information: offset, message };
}
