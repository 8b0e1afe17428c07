/**
 * What the API must give back of an object and the store has no field for: canonical JSON (sorted keys, no
 * spaces, so that equal attributes are equal bytes) in the node's `attributes`. It is written in the same
 * record as the change that it describes, so both survive a crash or neither does. `version` allows later
 * shapes.
 */
import { assert } from '@varve/common/assert';
import type { Filesystem } from '@varve/contract/filesystem';
import type { PutHost } from '@varve/contract/host';
import type { Labels } from '@varve/contract/identifier';
import { ProblemError } from '@varve/contract/problem';
import type { Limits, VolumeSource } from '@varve/contract/volume';

/** What the store has room for, beside one node. */
export const attributesBytesMax = 3072;
/** Reverts that a volume remembers, so that a repeat among them does nothing. */
export const revertIdsMax = 8;

/** A revert that was done. */
export interface DoneRevert {
  readonly id: string;
  readonly snapshot: string;
}

/** Attributes of a volume. */
export interface VolumeAttributes {
  readonly version: 1;
  /** The creation arguments as first given. The pool is the store's. */
  readonly creation: { readonly sizeBytes: number; readonly source?: VolumeSource };
  readonly filesystem: Filesystem;
  readonly labels: Labels;
  readonly limits: Limits;
  /** Oldest first. */
  readonly reverts: readonly DoneRevert[];
  /** Who may attach it; absent if nobody may. */
  readonly hosts?: readonly StoredHost[];
}

/** A host that may attach a volume, with the secrets of DH-HMAC-CHAP. They stay in the daemon. */
export interface StoredHost {
  readonly nqn: string;
  readonly hostKey?: string;
  readonly controllerKey?: string;
  /** What must be used; absent: what the daemon likes best of what the host offers. */
  readonly hash?: NonNullable<PutHost['hash']>;
  readonly dhGroup?: NonNullable<PutHost['dhGroup']>;
}

/** Attributes of a snapshot. */
export interface SnapshotAttributes {
  readonly version: 1;
  /** The volume's uuid tells it from a later volume of the same id. */
  readonly creation: { readonly volume: string; readonly volumeUuid: string };
  /** The volume's at the cut. */
  readonly filesystem: Filesystem;
  readonly labels: Labels;
  /** RFC 3339, UTC. */
  readonly lockedUntil?: string;
}

/**
 * @param action What messages begin with.
 * @param field What the caller has changed: labels, or the grant of a host.
 * @throws ProblemError `invalid-argument` for that: nothing else in attributes can grow that far.
 */
export function encodeAttributes(
  action: string,
  attributes: VolumeAttributes | SnapshotAttributes,
  field: 'labels' | 'hostNqn' = 'labels',
): string {
  const text = canonicalJson(attributes);
  const sizeBytes = Buffer.byteLength(text);
  if (sizeBytes > attributesBytesMax) {
    const isHost = field === 'hostNqn' && 'hosts' in attributes;
    const partBytes = Buffer.byteLength(
      canonicalJson(isHost ? attributes.hosts : attributes.labels),
    );
    const roomBytes = attributesBytesMax - (sizeBytes - partBytes);
    throw new ProblemError(
      'invalid-argument',
      `${action} failed: ${isHost ? 'the grant takes' : 'labels take'} ${partBytes} bytes as JSON; ` +
        `with the other attributes at most ${roomBytes} are allowed`,
      { field: isHost ? 'hostNqn' : 'labels' },
    );
  }
  return text;
}

/** Reads what `encodeAttributes` made of a volume's attributes; the store guards the bytes with checksums. */
export function decodeVolumeAttributes(text: string): VolumeAttributes {
  const attributes = JSON.parse(text) as VolumeAttributes;
  assert(attributes.version === 1, `attributes of version ${String(attributes.version)}`);
  return attributes;
}

/** The hosts that may attach a volume. */
export function hostsOf({ attributes }: { readonly attributes: string }): readonly StoredHost[] {
  // Cheaper than parsing, for the many that have none.
  return attributes.includes('"hosts":') ? (decodeVolumeAttributes(attributes).hosts ?? []) : [];
}

/** Reads what `encodeAttributes` made of a snapshot's attributes. */
export function decodeSnapshotAttributes(text: string): SnapshotAttributes {
  const attributes = JSON.parse(text) as SnapshotAttributes;
  assert(attributes.version === 1, `attributes of version ${String(attributes.version)}`);
  return attributes;
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    typeof each === 'object' && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  );
}
