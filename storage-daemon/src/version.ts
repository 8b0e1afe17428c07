/** The version of this program, as `/v1/info` and `--version` tell it. */
import { readFileSync } from 'node:fs';

/** From the package's manifest, which lies beside `src` and `dist`. */
export const daemonVersion = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    readonly version: string;
  }
).version;
