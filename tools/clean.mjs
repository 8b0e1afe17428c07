// Removes every workspace's dist folder: `tsc --build` keeps the outputs of deleted sources, and jest would
// still run their tests.
import { readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { workspaces } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
for (const workspace of workspaces)
  rmSync(join(root, workspace, 'dist'), { recursive: true, force: true });
