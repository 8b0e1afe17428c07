/** Types of the conditions that VolumeSnapshots, their contents and claims carry. All are positive: `True` is good. */
export const conditionTypes = {
  /** On snapshots and contents: whether it can be restored from. */
  ready: 'Ready',
  /** On snapshots and contents, only while a deletion waits: says for what. */
  deletable: 'Deletable',
  /** On claims, only while provisioning waits or has failed: says why. */
  provisioned: 'Provisioned',
  /** On reverts: whether the volume is put back. */
  reverted: 'Reverted',
} as const;
