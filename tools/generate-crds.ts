/**
 * Writes `crds/<group>_<plural>.yaml` from the schemas in `contract/src/kubernetes`; `npm run generate:crds`
 * runs it, and a test fails when the files differ from what it would write.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ownManifests, snapshotManifests } from '@varve/contract/kubernetes/resource-catalogue';
import { stringify } from 'yaml';

const header =
  '# Generated from contract/src/kubernetes by `npm run generate:crds`. Do not edit.\n';

/** Where the definitions are kept. */
export const crdsFolder = resolve(import.meta.dirname, '../../crds');

/** File names and contents of all definitions. */
export function renderCrds(): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  for (const manifest of [...ownManifests(), ...snapshotManifests()]) {
    const [plural, ...group] = manifest.metadata.name.split('.');
    const text = stringify(manifest, { aliasDuplicateObjects: false, lineWidth: 100 });
    files.set(`${group.join('.')}_${plural}.yaml`, header + text);
  }
  return files;
}

function writeCrds(): void {
  const files = renderCrds();
  mkdirSync(crdsFolder, { recursive: true });
  for (const name of readdirSync(crdsFolder)) if (!files.has(name)) rmSync(join(crdsFolder, name));
  for (const [name, text] of files) writeFileSync(join(crdsFolder, name), text);
}

if (process.argv[1] === import.meta.filename) writeCrds();
