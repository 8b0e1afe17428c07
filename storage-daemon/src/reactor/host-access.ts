/**
 * Which hosts may attach which volumes: what NVMe/TCP connections ask of the side that keeps the grants, and
 * what that side asks of the connections.
 *
 * A revoke happens in this order, on the thread of the volume: the grant is gone for good and `grantOf`
 * says so; `fence` ends what the host still has; then the revoke answers.
 */

import type { DhchapGroupId, DhchapHashId } from '../nvmf/auth/dhchap-parameters.ts';

/** What a host that may attach a volume must prove. */
export interface HostGrant {
  /** The secret (`DHHC-1:...`) that the host must prove to know; without it, the host's name is enough. */
  readonly secret?: string;
  /** The secret with which the controller proves itself to a host that asks for it. */
  readonly controllerSecret?: string;
  /** The hash function that must be used; absent: the best that is offered. */
  readonly hash?: DhchapHashId;
  /** The Diffie-Hellman group that must be used; absent: the best that is offered. */
  readonly group?: DhchapGroupId;
}

/** The grants. */
export interface HostAccess {
  /**
   * The grant of a host on a volume; undefined refuses it.
   *
   * @param volumeId The volume's id in the REST API.
   * @param hostNqn Compared byte by byte.
   */
  grantOf(volumeId: string, hostNqn: string): HostGrant | undefined;
}

/** The connections of hosts. */
export interface HostFence {
  /**
   * Closes everything that the host has open of the volume. Resolves when each write that was received from it
   * has completed or been dropped: nothing of it lands afterwards.
   */
  fence(volumeId: string, hostNqn: string): Promise<void>;
}
