/** Log pages (NVMe Base 2.0, section 5.16.1), whole; a reader gets the part that it asked for. */
import { identifyBytes } from './identify.ts';
import { volumeNsid } from '../wire-constants.ts';

/** Log page identifiers. */
export const LogPage = {
  ERROR: 0x01,
  SMART: 0x02,
  FIRMWARE: 0x03,
  CHANGED_NAMESPACES: 0x04,
  DISCOVERY: 0x70,
} as const;

const errorEntryBytes = 64;
const smartBytes = 512;
const firmwareBytes = 512;
/** 37 degrees Celsius: there is no sensor, and zero Kelvin alarms. */
const temperatureKelvin = 310;

/** Errors are told in completions and not kept: one unused entry. */
export function errorLog(): Buffer {
  return Buffer.alloc(errorEntryBytes);
}

/** Health: what wears out here is reported by the pool's devices, not by a volume. */
export function smartLog(): Buffer {
  const bytes = Buffer.alloc(smartBytes);
  bytes.writeUInt16LE(temperatureKelvin, 1);
  bytes[3] = 100;
  bytes[4] = 10;
  return bytes;
}

/** One slot, with the program's version. */
export function firmwareLog(firmwareRevision: string): Buffer {
  const bytes = Buffer.alloc(firmwareBytes);
  bytes[0] = 1;
  bytes.write(firmwareRevision.padEnd(8).slice(0, 8), 8, 'latin1');
  return bytes;
}

/** The namespace, if it has changed since the page was last read. */
export function changedNamespaceLog(hasChanged: boolean): Buffer {
  const bytes = Buffer.alloc(identifyBytes);
  if (hasChanged) bytes.writeUInt32LE(volumeNsid, 0);
  return bytes;
}

/** Part of a page; beyond its end there are zeros. */
export function cutLog(page: Buffer, offsetBytes: number, lengthBytes: number): Buffer {
  const bytes = Buffer.alloc(lengthBytes);
  page.copy(bytes, 0, offsetBytes, offsetBytes + lengthBytes);
  return bytes;
}
