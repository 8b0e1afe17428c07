/** Sequence numbers of challenges (NVMe Base 2.0, section 8.13.5.3). */

/** A random number of 32 bits that is not 0: that says "no challenge". */
export function randomSequenceNumber(random: (sizeBytes: number) => Buffer): number {
  return random(4).readUInt32LE() || 1;
}
