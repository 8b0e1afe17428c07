const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'] as const;

/**
 * A number of bytes as people read it: three digits at least, a decimal only where it says something. Rounded down:
 * nobody is promised free space that is not there.
 */
export function formatBytes(sizeBytes: number): string {
  let value = sizeBytes;
  let power = 0;
  while (value >= 1024 && power < units.length - 1) {
    value /= 1024;
    power += 1;
  }
  return `${formatDigits(value)} ${units[power]}`;
}

function formatDigits(value: number): string {
  if (Number.isInteger(value) || value >= 100) return String(Math.floor(value));
  return (Math.floor(value * 10) / 10).toFixed(1);
}
