/** The id of a snapshot at the daemon; it derives from the UID of the VolumeSnapshot, so a repeat finds the same one. */
export function daemonSnapshotId(snapshotUid: string): string {
  return `snapshot-${snapshotUid}`;
}
