/**
 * Kubernetes' protobuf, for the requests that kubectl sends so and only so: `kubectl create namespace`, `configmap`,
 * `secret` and `serviceaccount` (client-go encodes built-in kinds as protobuf where it is typed). Everything else is
 * served as JSON, which every client takes.
 *
 * The body is an envelope (`k8s\0`, then runtime.Unknown) around the object's message; field numbers are those of the
 * generated.proto files of k8s.io/api/core/v1 and k8s.io/apimachinery.
 */
import { badRequest, unsupportedMediaType } from '../objects/api-error.ts';
import {
  setMember,
  textOf,
  type Json,
  type JsonObject,
  type MutableJsonObject,
} from '../objects/json.ts';

/** The media type of the envelope. */
export const protobufMediaType = 'application/vnd.kubernetes.protobuf';

const magic = Buffer.from([0x6b, 0x38, 0x73, 0x00]);

/** How a field is read. */
type FieldType = 'string' | 'bytes' | 'bool' | 'map' | 'bytes-map' | Message;

interface Field {
  readonly name: string;
  readonly type: FieldType;
  readonly isList?: boolean;
}

interface Message {
  readonly [fieldNumber: number]: Field;
}

const objectMeta: Message = {
  1: { name: 'name', type: 'string' },
  2: { name: 'generateName', type: 'string' },
  3: { name: 'namespace', type: 'string' },
  4: { name: 'selfLink', type: 'string' },
  5: { name: 'uid', type: 'string' },
  6: { name: 'resourceVersion', type: 'string' },
  11: { name: 'labels', type: 'map' },
  12: { name: 'annotations', type: 'map' },
  14: { name: 'finalizers', type: 'string', isList: true },
};
const metadata: Field = { name: 'metadata', type: objectMeta };
const reference: Message = { 1: { name: 'name', type: 'string' } };

const kinds: Readonly<Record<string, Message>> = {
  Namespace: { 1: metadata },
  ConfigMap: {
    1: metadata,
    2: { name: 'data', type: 'map' },
    3: { name: 'binaryData', type: 'bytes-map' },
    4: { name: 'immutable', type: 'bool' },
  },
  Secret: {
    1: metadata,
    2: { name: 'data', type: 'bytes-map' },
    3: { name: 'type', type: 'string' },
    4: { name: 'stringData', type: 'map' },
    5: { name: 'immutable', type: 'bool' },
  },
  ServiceAccount: {
    1: metadata,
    3: { name: 'imagePullSecrets', type: reference, isList: true },
    4: { name: 'automountServiceAccountToken', type: 'bool' },
  },
};

const typeMeta: Message = {
  1: { name: 'apiVersion', type: 'string' },
  2: { name: 'kind', type: 'string' },
};
const unknown: Message = {
  1: { name: 'typeMeta', type: typeMeta },
  2: { name: 'raw', type: 'bytes' },
};

/** Reads an object. Throws 415 for kinds that are not read so, and 400 for bytes that are no such object. */
export function readProtobuf(body: Buffer): JsonObject {
  if (!body.subarray(0, magic.length).equals(magic)) {
    throw badRequest(
      'the body of the request is no Kubernetes protobuf: its first bytes are wrong',
    );
  }
  const envelope = readMessage(unknown, body.subarray(magic.length));
  const { apiVersion = '', kind = '' } = (envelope['typeMeta'] ?? {}) as Record<string, string>;
  const message = apiVersion === 'v1' ? kinds[kind] : undefined;
  if (message === undefined) {
    throw unsupportedMediaType(`${protobufMediaType} of ${apiVersion} ${kind}`, [
      'application/json',
    ]);
  }
  if (envelope['raw'] === undefined) throw truncated();
  const raw = Buffer.from(textOf(envelope['raw']), 'base64');
  return { apiVersion, kind, ...readMessage(message, raw) };
}

/** Reads the fields of a message. Fields that are not listed are skipped: they are set by the server, or unset. */
function readMessage(message: Message, bytes: Buffer): MutableJsonObject {
  const reader = new WireReader(bytes);
  const result: MutableJsonObject = {};
  while (!reader.isAtEnd) {
    const tag = reader.varint();
    const field = message[Number(tag >> 3n)];
    const wireType = Number(tag & 7n);
    const value = wireType === 2 ? reader.chunk() : reader.scalar(wireType);
    if (field !== undefined) addField(result, field, value);
  }
  return result;
}

function addField(result: MutableJsonObject, field: Field, value: Buffer | bigint): void {
  const { name, type } = field;
  if (type === 'map' || type === 'bytes-map') {
    const valueType = type === 'map' ? 'string' : 'bytes';
    const entry = readMessage(
      { 1: { name: 'key', type: 'string' }, 2: { name: 'value', type: valueType } },
      chunkOf(value),
    );
    const map: MutableJsonObject = { ...(result[name] as JsonObject | undefined) };
    setMember(map, textOf(entry['key']), entry['value'] ?? '');
    result[name] = map;
  } else if (field.isList === true) {
    const list = (result[name] ?? []) as readonly Json[];
    result[name] = [...list, readValue(type, value)];
  } else {
    // Scalars that are unset travel as their zero values (proto2, gogo): an empty text says nothing.
    const read = readValue(type, value);
    if (read !== '') result[name] = read;
  }
}

function readValue(type: Exclude<FieldType, 'map' | 'bytes-map'>, value: Buffer | bigint): Json {
  if (type === 'bool') return value === 1n;
  const chunk = chunkOf(value);
  if (type === 'string') return chunk.toString('utf8');
  if (type === 'bytes') return chunk.toString('base64');
  return readMessage(type, chunk);
}

function chunkOf(value: Buffer | bigint): Buffer {
  if (typeof value !== 'bigint') return value;
  throw truncated();
}

function truncated(): Error {
  return badRequest(
    'the body of the request is no Kubernetes protobuf: it ends in the middle or is damaged',
  );
}

/** Reads protobuf's wire format. */
class WireReader {
  readonly #bytes: Buffer;
  #position = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#position >= this.#bytes.length;
  }

  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 64n; shift += 7n) {
      const byte = this.#bytes[this.#position++];
      if (byte === undefined) throw truncated();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw truncated();
  }

  /** A length and so many bytes. */
  chunk(): Buffer {
    return this.#take(Number(this.varint()));
  }

  /** A value that is no chunk: a varint, or 8 or 4 bytes, which no field here has. */
  scalar(wireType: number): bigint {
    if (wireType === 0) return this.varint();
    if (wireType === 1) return this.#take(8).readBigUInt64LE();
    if (wireType === 5) return BigInt(this.#take(4).readUInt32LE());
    throw truncated();
  }

  #take(lengthBytes: number): Buffer {
    const end = this.#position + lengthBytes;
    if (end > this.#bytes.length) throw truncated();
    const chunk = this.#bytes.subarray(this.#position, end);
    this.#position = end;
    return chunk;
  }
}
