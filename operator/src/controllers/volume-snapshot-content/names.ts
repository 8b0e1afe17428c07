/** The id of a snapshot at the daemon: it derives from the VolumeSnapshot's UID, so a repeat finds the same one. */
export function daemonSnapshotId(snapshotUid: string): string {
  return `snapshot-${snapshotUid}`;
}
