/**
 * The hook by which tests make chosen requests fail: refused, dropped, or served with the answer lost; a
 * delay is the hook's own wait.
 */
import { ApiError } from '../objects/api-error.ts';
import type { ApiRequest } from '../requests/request.ts';

/** What happens to a request instead of being served. */
export type Interception =
  /** It is answered with this error. */
  | { readonly kind: 'answer'; readonly error: ApiError }
  /** The connection is cut before the request takes effect. */
  | { readonly kind: 'drop' }
  /** It takes effect, and the connection is cut before the answer. */
  | { readonly kind: 'lose-answer' };

/** Is asked about every request; undefined lets it pass. */
export type Interceptor = (
  request: ApiRequest,
) => Interception | undefined | Promise<Interception | undefined>;

/** A refusal for an interceptor to answer with. */
export function refuseWith(code: number, reason: string, message: string): Interception {
  return { kind: 'answer', error: new ApiError({ code, reason, message }) };
}
