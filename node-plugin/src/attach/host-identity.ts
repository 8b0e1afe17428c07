/**
 * This node's name and id as an NVMe host. The name has the Node's UID in it, and the id is that UID: they
 * never change and never part, as the kernel demands.
 */
import { assert } from '@varve/common/assert';

/** Name and id. */
export interface HostIdentity {
  readonly hostNqn: string;
  readonly hostId: string;
}

/**
 * The identity behind a name of the form `nqn.2014-08.org.nvmexpress:uuid:<UID>`, which the attachment
 * metadata has.
 */
export function hostIdentityOf(hostNqn: string): HostIdentity {
  const hostId = /:uuid:([0-9a-f-]{36})$/.exec(hostNqn)?.[1];
  assert(hostId !== undefined, `the host name ${hostNqn} has a UUID`);
  return { hostNqn, hostId };
}
