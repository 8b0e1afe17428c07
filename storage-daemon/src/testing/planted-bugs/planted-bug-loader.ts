/**
 * Preloaded (`node --import`) into a run of the simulator: replaces one piece of text in one source file as it is
 * loaded, so that a planted bug needs no copy of the tree. The text must be there exactly once.
 */
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';

import { applyPatch, patchVariable, type SourcePatch } from './source-patch.ts';

const { url: patchedUrl, patch } = JSON.parse(process.env[patchVariable]!) as {
  url: string;
  patch: SourcePatch;
};

registerHooks({
  load(url, context, nextLoad) {
    if (url !== patchedUrl) return nextLoad(url, context);
    const source = applyPatch(readFileSync(new URL(url), 'utf8'), patch);
    return { format: 'module-typescript', source, shortCircuit: true };
  },
});
