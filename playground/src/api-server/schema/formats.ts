/**
 * Value formats of schemas (`format: date-time` and the like); a format that is not listed here is not
 * checked, as in Kubernetes.
 */
import { parseQuantityMilli } from '../objects/quantity.ts';

const dateTime =
  /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;
const date = /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/;
const uuid = /^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$/;
const base64 = /^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const duration = /^-?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h|d|w))+$/;

const stringFormats: Readonly<Record<string, (text: string) => boolean>> = {
  'date-time': (text) => dateTime.test(text),
  date: (text) => date.test(text),
  uuid: (text) => uuid.test(text),
  byte: (text) => base64.test(text.replaceAll(/\s/g, '')),
  duration: (text) => duration.test(text),
  uri: (text) => URL.canParse(text),
  email: (text) => /^[^@\s]+@[^@\s]+$/.test(text),
  quantity: (text) => parseQuantityMilli(text) !== undefined,
  ipv4: (text) => /^(\d{1,3}\.){3}\d{1,3}$/.test(text),
};

const int32Max = 2 ** 31 - 1;
const int64Max = 2n ** 63n - 1n;

/** Whether a string is of the format. */
export function isOfFormat(format: string, text: string): boolean {
  return stringFormats[format]?.(text) ?? true;
}

/** Whether an integer fits into the format (`int32`, `int64`). */
export function fitsIntegerFormat(format: string | undefined, value: number | bigint): boolean {
  if (format === 'int32') return value >= -int32Max - 1 && value <= int32Max;
  return value >= -int64Max - 1n && value <= int64Max;
}
