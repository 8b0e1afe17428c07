// Installs the dependencies when they are missing or older than package-lock.json, so that `npm start` and
// `npm test` work on a bare clone. Plain JavaScript on purpose: it runs on whatever Node.js the machine has,
// before the pinned one is there.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const lock = join(root, 'package-lock.json');
const installedLock = join(root, 'node_modules', '.varve-installed-lock.json');
const attemptsMax = 3;

function isInstalled() {
  return existsSync(installedLock) && readFileSync(lock).equals(readFileSync(installedLock));
}

function install() {
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const result = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    if (result.status === 0) return true;
    console.error(`npm ci failed (attempt ${attempt} of ${attemptsMax})`);
  }
  return false;
}

if (!isInstalled()) {
  console.error('Installing dependencies (npm ci) ...');
  if (!install()) process.exit(1);
  copyFileSync(lock, installedLock);
}
