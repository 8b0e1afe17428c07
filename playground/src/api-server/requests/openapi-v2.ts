/**
 * OpenAPI v2 without definitions. kubectl asks for it in one case only, as protobuf: to check the items of a `List` on
 * its own side. It lets pass what it finds no definition of, and the server checks each item anyway.
 */
import { rawAnswer, type WholeAnswer } from './request.ts';

/** The only form that there is here. kubectl asks for it with `@v1.0`, which Kubernetes answers without the sign. */
const mediaType = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';

const title = 'Kubernetes';

/** The document as gnostic's `openapi.v2.Document`: swagger = 1, info = 2 (title = 1, version = 2), paths = 8. */
export function openApiV2Answer(version: string): WholeAnswer {
  const info = Buffer.concat([field(1, title), field(2, version)]);
  return rawAnswer(Buffer.concat([field(1, '2.0'), field(2, info), field(8, '')]), mediaType);
}

/** A field of protobuf's wire type 2: tag, length, bytes. Everything here is shorter than 128 bytes. */
function field(number: number, content: string | Buffer): Buffer {
  const bytes = Buffer.from(content);
  return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes]);
}
