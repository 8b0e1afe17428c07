import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { StateFolder } from './state-folder.ts';
import { formatWelcome } from './welcome.ts';

test.each(['plain', "it's $HOME & more"])(
  'formatWelcome() can be pasted from a folder "%s"',
  (name) => {
    const parent = mkdtempSync(join(tmpdir(), 'varve-welcome-'));
    const folder = StateFolder.open(join(parent, name));
    try {
      const welcome = formatWelcome(folder, []);
      const line = welcome.split('\n').find((each) => each.includes('export KUBECONFIG='));
      const pasted = execFileSync('sh', ['-c', `${line}\nprintf %s "$KUBECONFIG"`]).toString();
      expect(pasted).toBe(folder.kubeconfigFile);
    } finally {
      folder.close();
      rmSync(parent, { recursive: true });
    }
  },
);
