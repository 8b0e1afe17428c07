/** `/proc/self/mountinfo` as proc(5) has it. */
import type { Mount } from './node-system.ts';

/** Reads all lines; one that is not understood is an error, since it might be the one that matters. */
export function parseMountTable(text: string): readonly Mount[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map(parseLine);
}

function parseLine(line: string): Mount {
  const [left = '', right = ''] = line.split(' - ');
  const [, , deviceNumber, root, path, options] = left.split(' ');
  const [type, , superOptions = ''] = right.split(' ');
  if (
    deviceNumber === undefined ||
    root === undefined ||
    path === undefined ||
    options === undefined ||
    type === undefined
  ) {
    throw new Error(`Reading the mount table failed: ${JSON.stringify(line)} is no line of it`);
  }
  const isReadOnly = [...options.split(','), ...superOptions.split(',')].includes('ro');
  return { path: unescape(path), deviceNumber, root: unescape(root), type, isReadOnly };
}

/** Blanks, tabs, newlines and backslashes are written as octal numbers. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
