/** The version of this program, as `--version`, the CSI answers and the user agent tell it. */
import { readFileSync } from 'node:fs';

/** From the package's manifest, which lies beside `src` and `dist`. */
export const nodePluginVersion = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    readonly version: string;
  }
).version;
