/** Names that derive from the UID of the VolumeRevert, so that a repeat finds its own earlier work. */

/** The id of the revert at the daemon. */
export function revertId(uid: string): string {
  return `revert-${uid}`;
}

/** The name of the VolumeSnapshot that is taken first. */
export function safetySnapshotName(uid: string): string {
  return `before-revert-${uid}`;
}
