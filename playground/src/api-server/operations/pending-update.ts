/** A change of an object on its way through the checks. */
import type { ApiObject } from '../objects/api-object.ts';
import type { JsonObject } from '../objects/json.ts';
import type { DraftObject } from '../registry/resource-definition.ts';
import type { ObjectTarget, WriteOptions } from './server-state.ts';

/** A change that is about to be made. */
export interface PendingUpdate {
  readonly target: ObjectTarget;
  readonly previous: ApiObject;
  /** The object as the client wants it, decoded. */
  readonly draft: DraftObject;
  readonly options: WriteOptions;
  /** For server-side apply, which has worked out the ownership of fields by itself. */
  readonly managedFields?: readonly JsonObject[];
}
