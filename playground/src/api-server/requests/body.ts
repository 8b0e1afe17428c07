/** Reading the bodies of requests: JSON, or YAML where kubectl sends it. */
import { parse as parseYaml } from 'yaml';
import { badRequest, unsupportedMediaType } from '../objects/api-error.ts';
import { parseJson, type Json } from '../objects/json.ts';
import { patchTypes } from '../operations/patch.ts';
import { mediaTypeOf } from './media-types.ts';
import { protobufMediaType, readProtobuf } from './protobuf.ts';
import type { ApiRequest } from './request.ts';

const objectTypes = ['application/json', 'application/yaml'];

/** Reads an object; without a Content-Type it is taken for JSON, as Kubernetes does. */
export function readObjectBody(request: ApiRequest): Json {
  const mediaType = mediaTypeOf(request.contentType);
  if (mediaType === '' || mediaType === 'application/json') return readJson(request.body);
  if (mediaType === 'application/yaml') return readYaml(request.body);
  if (mediaType === protobufMediaType) return readProtobuf(request.body);
  throw unsupportedMediaType(mediaType, objectTypes);
}

/** Reads the body of a DELETE, which may be empty. */
export function readOptionalBody(request: ApiRequest): Json | undefined {
  return request.body.length === 0 ? undefined : readObjectBody(request);
}

/** Reads a patch. */
export function readPatchBody(request: ApiRequest): Json {
  const mediaType = mediaTypeOf(request.contentType);
  return mediaType === patchTypes.apply ? readYaml(request.body) : readJson(request.body);
}

function readJson(body: Buffer): Json {
  try {
    return parseJson(body.toString('utf8'));
  } catch (error) {
    throw badRequest(`couldn't parse the body of the request as JSON: ${(error as Error).message}`);
  }
}

function readYaml(body: Buffer): Json {
  try {
    return parseYaml(body.toString('utf8'), { intAsBigInt: false, maxAliasCount: 100 }) as Json;
  } catch (error) {
    throw badRequest(`couldn't parse the body of the request as YAML: ${(error as Error).message}`);
  }
}
