/** The PersistentVolume of a claim, and its volume at the daemon: one name, that derives from the claim's UID. */
export function volumeName(claimUid: string): string {
  return `pvc-${claimUid}`;
}
