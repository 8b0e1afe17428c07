// Runs dependency-cruiser over all sources and fails when it looked at suspiciously few modules: with a parser
// missing it reports zero modules and succeeds, which would be a check that cannot fail.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { workspaces } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const folders = workspaces
  .map((name) => `${name}/src`)
  .filter((folder) => existsSync(join(root, folder)));

const sourceCount = folders
  .flatMap((folder) => readdirSync(join(root, folder), { recursive: true }))
  .filter((name) => name.endsWith('.ts')).length;

const result = spawnSync(
  process.execPath,
  [
    join(root, 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs'),
    '--config',
    '.dependency-cruiser.json',
    '--output-type',
    'json',
    ...folders,
  ],
  { cwd: root, encoding: 'utf8', maxBuffer: 256 * 1024 * 1024 },
);
let report;
try {
  report = JSON.parse(result.stdout);
} catch {
  console.error(`Checking the layers failed: dependency-cruiser printed no JSON\n${result.stderr}`);
  process.exit(1);
}
const { violations, totalCruised } = report.summary;
for (const { rule, from, to } of violations) console.error(`${rule.name}: ${from} -> ${to}`);
if (totalCruised < sourceCount) {
  console.error(
    `Checking the layers failed: saw ${totalCruised} modules of at least ${sourceCount}`,
  );
  process.exit(1);
}
if (violations.length > 0) process.exit(1);
console.log(`layering: ${totalCruised} modules, no violations`);
