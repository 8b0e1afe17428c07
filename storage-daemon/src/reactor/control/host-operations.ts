/**
 * Grants of hosts on volumes. A volume has one writer: a grant is refused while another host has one, or the volume is
 * open over NBD; and while there is a grant, NBD clients can only read.
 *
 * A revoke is a fence. First the grant is gone for good, so that no new connection is let in; then what the host still
 * has is ended, and what it has sent is done or dropped; then the call answers, and the next host may come. A repeat
 * waits for the same, also if it finds the grant gone: the first may still be at it.
 */
import {
  type Host,
  type HostKeyTransformation,
  type PutHost,
  volumeNqnPrefix,
} from '@varve/contract/host';
import type { Page } from '@varve/contract/page';
import { ProblemError } from '@varve/contract/problem';

import { parseDhchapSecret } from '../../nvmf/auth/dhchap-secret.ts';
import type { NodeName } from '../../store/store-api.ts';
import { formatExportName } from '../export-name.ts';
import type { ArgumentOf, Creation } from '../messages.ts';
import type { FoundNode } from '../pools/open-pools.ts';
import { formatUuid } from '../uuid-text.ts';
import type { ControlDependencies } from './control-dependencies.ts';
import {
  decodeVolumeAttributes,
  encodeAttributes,
  hostsOf,
  type StoredHost,
} from './object-attributes.ts';

const keyFields = ['hostKey', 'controllerKey'] as const;

/** Calls on grants. */
export class HostOperations {
  readonly #dependencies: ControlDependencies;

  constructor(dependencies: ControlDependencies) {
    this.#dependencies = dependencies;
  }

  async put({ id, hostNqn, body }: ArgumentOf<'putHost'>): Promise<Creation<Host>> {
    const action = `Granting host "${hostNqn}" access to volume "${id}"`;
    const found = this.#require(id, action);
    for (const field of keyFields) checkKey(action, field, body[field]);
    const before = hostsOf(found.summary);
    const other = before.find(({ nqn }) => nqn !== hostNqn);
    if (other !== undefined) {
      throw new ProblemError(
        'in-use',
        `${action} failed: host "${other.nqn}" has access, and a volume has one writer; revoke that first`,
        { blocker: `host/${other.nqn}` },
      );
    }
    const host = storedHost(hostNqn, body);
    const isNew = before.length === 0;
    if (isNew) this.#requireNoConnections(action, found);
    await this.#store(action, found, [host]);
    if (isNew) {
      this.#tell(found, `Host ${hostNqn} may attach it.`);
      this.#dependencies.exports.accessChanged();
    }
    return { isNew, object: viewHost(found, host) };
  }

  async get({ id, hostNqn }: ArgumentOf<'getHost'>): Promise<Host> {
    const action = `Reading the grant of host "${hostNqn}" on volume "${id}"`;
    const found = this.#require(id, action);
    const host = hostsOf(found.summary).find(({ nqn }) => nqn === hostNqn);
    if (host !== undefined) return viewHost(found, host);
    throw new ProblemError('not-found', `${action} failed: it has no access`, { field: 'hostNqn' });
  }

  async list({ id }: ArgumentOf<'listHosts'>): Promise<Page<Host>> {
    const found = this.#require(id, `Listing the hosts of volume "${id}"`);
    return { items: hostsOf(found.summary).map((host) => viewHost(found, host)) };
  }

  async delete({ id, hostNqn }: ArgumentOf<'deleteHost'>): Promise<undefined> {
    const { pools } = this.#dependencies;
    const action = `Revoking the access of host "${hostNqn}" to volume "${id}"`;
    const found = pools.find(volumeName(id));
    if (found === undefined) {
      pools.requireAll(action);
      return undefined;
    }
    const before = hostsOf(found.summary);
    const after = before.filter(({ nqn }) => nqn !== hostNqn);
    if (after.length < before.length) {
      await this.#store(action, found, after);
      this.#tell(found, `Host ${hostNqn} may no longer attach it.`);
    }
    await this.#fence(found, hostNqn);
    return undefined;
  }

  /** What the host has sent already is done at once, not at the volume's rate: the next host waits for it. */
  async #fence({ summary }: FoundNode, hostNqn: string): Promise<void> {
    const { volumes, exports } = this.#dependencies;
    volumes.setLimits(summary, {});
    try {
      await exports.fence(summary.name, hostNqn);
    } finally {
      volumes.setLimits(summary, decodeVolumeAttributes(summary.attributes).limits);
    }
  }

  #require(id: string, action: string): FoundNode {
    return this.#dependencies.pools.requireNode(volumeName(id), action);
  }

  /** Without a grant there are no hosts: what is open is open over NBD, and may be written to. */
  #requireNoConnections(action: string, { summary }: FoundNode): void {
    const count = this.#dependencies.volumes.openCount(summary);
    if (count === 0) return;
    const blocker = count === 1 ? '1 NBD connection' : `${count} NBD connections`;
    const message = `${action} failed: it is open over ${blocker}, and a volume has one writer`;
    throw new ProblemError('in-use', message, { blocker });
  }

  async #store(
    action: string,
    { store, summary }: FoundNode,
    hosts: readonly StoredHost[],
  ): Promise<void> {
    const { hosts: _, ...others } = decodeVolumeAttributes(summary.attributes);
    const changed = hosts.length > 0 ? { ...others, hosts } : others;
    const attributes = encodeAttributes(action, changed, 'hostNqn');
    if (attributes !== summary.attributes) await store.setAttributes(summary, attributes);
  }

  #tell({ summary }: FoundNode, message: string): void {
    const object = formatExportName(summary);
    this.#dependencies.notices.event({ type: 'volume-changed', object, message });
  }
}

/** @throws ProblemError `in-use` while a host may attach the volume. */
export function requireNoHosts(action: string, { summary }: FoundNode): void {
  const [host] = hostsOf(summary);
  if (host === undefined) return;
  throw new ProblemError(
    'in-use',
    `${action} failed: host "${host.nqn}" has access to it; revoke that first`,
    { blocker: `host/${host.nqn}` },
  );
}

function volumeName(id: string): NodeName {
  return { kind: 'volume', name: id };
}

function storedHost(nqn: string, body: PutHost): StoredHost {
  const { hostKey, controllerKey, hash, dhGroup } = body;
  return {
    nqn,
    ...(hostKey !== undefined && { hostKey }),
    ...(controllerKey !== undefined && { controllerKey }),
    ...(hash !== undefined && { hash }),
    ...(dhGroup !== undefined && { dhGroup }),
  };
}

function viewHost({ summary }: FoundNode, host: StoredHost): Host {
  const { nqn, hostKey, controllerKey, ...choices } = host;
  return {
    hostNqn: nqn,
    ...(hostKey !== undefined && { hostKey: { transformation: transformationOf(hostKey) } }),
    ...(controllerKey !== undefined && {
      controllerKey: { transformation: transformationOf(controllerKey) },
    }),
    ...choices,
    subsystemNqn: volumeNqnPrefix + formatUuid(summary.uuid),
  };
}

function transformationOf(key: string): HostKeyTransformation {
  const transformations = ['none', 'SHA-256', 'SHA-384', 'SHA-512'] as const;
  return transformations[parseDhchapSecret(key).hash ?? 0];
}

/** No part of a key may show in a message. */
function checkKey(
  action: string,
  field: (typeof keyFields)[number],
  key: string | undefined,
): void {
  if (key === undefined) return;
  try {
    parseDhchapSecret(key);
  } catch (error) {
    const { kind, message } = error as { readonly kind?: unknown; readonly message: string };
    if (kind !== 'dhchap-secret') throw error;
    throw new ProblemError('invalid-argument', `${action} failed: ${field} ${message}`, { field });
  }
}
