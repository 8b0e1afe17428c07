/**
 * The DER form in which node:crypto takes and gives public keys of Diffie-Hellman groups (RFC 5280 SubjectPublicKeyInfo
 * with PKCS #3 parameters):
 *
 *   SEQUENCE { SEQUENCE { OID dhKeyAgreement, SEQUENCE { INTEGER prime, INTEGER 2 } }, BIT STRING { INTEGER value } }
 *
 * Only what node:crypto has made itself is decoded here.
 */
import { assert } from '@varve/common/assert';

const Tag = { INTEGER: 0x02, BIT_STRING: 0x03, OBJECT_IDENTIFIER: 0x06, SEQUENCE: 0x30 } as const;

/** 1.2.840.113549.1.3.1. */
const dhKeyAgreement = Buffer.from('2a864886f70d010301', 'hex');
const generator = Buffer.of(2);

/** A public key of a group with generator 2. Both numbers are highest byte first. */
export function encodeDhPublicKey(prime: Buffer, publicValue: Buffer): Buffer {
  const parameters = element(Tag.SEQUENCE, integer(prime), integer(generator));
  const algorithm = element(
    Tag.SEQUENCE,
    element(Tag.OBJECT_IDENTIFIER, dhKeyAgreement),
    parameters,
  );
  const unusedBits = Buffer.of(0);
  const value = element(Tag.BIT_STRING, unusedBits, integer(publicValue));
  return element(Tag.SEQUENCE, algorithm, value);
}

/** The public value of a key, without leading zeros. */
export function decodeDhPublicValue(der: Buffer): Buffer {
  const key = readElement(der, Tag.SEQUENCE);
  const algorithm = readElement(key.content, Tag.SEQUENCE);
  const value = readElement(algorithm.rest, Tag.BIT_STRING);
  return withoutLeadingZeros(readElement(value.content.subarray(1), Tag.INTEGER).content);
}

function integer(magnitude: Buffer): Buffer {
  const digits = withoutLeadingZeros(magnitude);
  // A set highest bit would make the number negative; no digits at all is no number.
  const needsZero = digits.length === 0 || (digits[0] ?? 0) >= 0x80;
  return element(Tag.INTEGER, needsZero ? Buffer.of(0) : Buffer.of(), digits);
}

function element(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  assert(length < 0x10000, `${length} bytes are more than any key has`);
  const head =
    length < 0x80
      ? [tag, length]
      : length < 0x100
        ? [tag, 0x81, length]
        : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), content]);
}

function readElement(bytes: Buffer, tag: number): { content: Buffer; rest: Buffer } {
  assert(bytes[0] === tag, `found ${bytes[0]} where ${tag} begins`);
  const first = bytes.readUInt8(1);
  const lengthBytes = first < 0x80 ? 0 : first - 0x80;
  const start = 2 + lengthBytes;
  const end = start + (lengthBytes === 0 ? first : bytes.readUIntBE(2, lengthBytes));
  assert(end <= bytes.length, 'the element ends after its key');
  return { content: bytes.subarray(start, end), rest: bytes.subarray(end) };
}

function withoutLeadingZeros(bytes: Buffer): Buffer {
  const start = bytes.findIndex((byte) => byte !== 0);
  return start === -1 ? Buffer.of() : bytes.subarray(start);
}
