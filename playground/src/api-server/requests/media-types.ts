/**
 * Content negotiation: which form of an answer the client wants (Kubernetes API concepts, "Alternate
 * representations").
 */
import { notAcceptable } from '../objects/api-error.ts';

/** One media type of an Accept header, with its parameters. */
export interface AcceptedType {
  readonly mediaType: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** Forms in which objects are served. */
export type ObjectForm = 'object' | 'table' | 'metadata';

const jsonTypes: ReadonlySet<string> = new Set(['application/json', 'application/*', '*/*', '']);

/**
 * Splits an Accept header into its types, in the client's order (Kubernetes takes the order for the
 * preference).
 */
export function parseAccept(accept: string): AcceptedType[] {
  return accept.split(',').map((part) => {
    const [mediaType = '', ...parameters] = part.split(';').map((each) => each.trim());
    return {
      mediaType: mediaType.toLowerCase(),
      parameters: new Map(
        parameters.map((parameter) => {
          const [name = '', value = ''] = parameter.split('=');
          return [name.toLowerCase(), value];
        }),
      ),
    };
  });
}

/** The form in which the client wants objects; throws 406 if none is served. */
export function negotiateForm(accept: string): ObjectForm {
  for (const { mediaType, parameters } of parseAccept(accept)) {
    if (!jsonTypes.has(mediaType)) continue;
    const form = parameters.get('as');
    if (form === undefined) return 'object';
    if (parameters.get('g') !== 'meta.k8s.io' || parameters.get('v') !== 'v1') continue;
    if (form === 'Table') return 'table';
    if (form === 'PartialObjectMetadata' || form === 'PartialObjectMetadataList') return 'metadata';
  }
  throw notAcceptable(['application/json']);
}

/** The version of aggregated discovery that the client wants; undefined for the plain documents. */
export function negotiateDiscovery(accept: string): 'v2' | 'v2beta1' | undefined {
  for (const { mediaType, parameters } of parseAccept(accept)) {
    if (!jsonTypes.has(mediaType)) continue;
    if (parameters.get('as') === undefined) return undefined;
    const version = parameters.get('v');
    const isKnown =
      parameters.get('as') === 'APIGroupDiscoveryList' &&
      parameters.get('g') === 'apidiscovery.k8s.io';
    if (isKnown && (version === 'v2' || version === 'v2beta1')) return version;
  }
  throw notAcceptable(['application/json']);
}

/** The media type of a Content-Type header, without parameters. */
export function mediaTypeOf(contentType: string): string {
  return (contentType.split(';')[0] ?? '').trim().toLowerCase();
}
