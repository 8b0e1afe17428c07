/** Amounts of bytes in the configuration: `67108864`, `512MiB`, `2GiB`. */

const units: Readonly<Record<string, number>> = {
  '': 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** Least memory for the maps of a pool: below it each operation would read its map first. */
const mapMemoryBytesMin = 64 * 2 ** 20;

/** Least rate at which devices are told of freed blocks: below it they would learn of a day's work in a week. */
const deallocateBytesMin = 2 ** 20;

/** Bytes for the maps of each pool, or what is wrong with the text. */
export function parseMapMemory(text: string): number | string {
  const bytes = parseBytes(text);
  if (typeof bytes === 'string') return bytes;
  return bytes < mapMemoryBytesMin ? 'must be at least 64MiB' : bytes;
}

/** Bytes per second at which devices are told of freed blocks, 0 for never; or what is wrong with the text. */
export function parseDeallocateRate(text: string): number | string {
  if (text === 'off') return 0;
  const bytes = parseBytes(text);
  if (typeof bytes === 'string') return `${bytes}, or off`;
  return bytes < deallocateBytesMin ? 'must be at least 1MiB, or off' : bytes;
}

function parseBytes(text: string): number | string {
  const [, digits, unit] = /^(\d{1,15})(|KiB|MiB|GiB|TiB)$/.exec(text) ?? [];
  if (digits === undefined) return 'must be bytes, or a whole number with KiB, MiB, GiB or TiB';
  const bytes = Number(digits) * units[unit ?? '']!;
  return Number.isSafeInteger(bytes) ? bytes : 'must be less than 8 PiB';
}
