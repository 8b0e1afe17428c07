/** Names that derive from the snapshot's UID: a repeat after a crash finds its own earlier work. */

/** The VolumeSnapshotContent of a snapshot of a claim. */
export function contentName(snapshotUid: string): string {
  return `snapcontent-${snapshotUid}`;
}
