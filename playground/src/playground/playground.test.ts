/** The whole playground with its real programs: started, used, restarted. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { readPageManifest } from '../demo/page-manifests.ts';
import { fingerprint } from '../demo/volume-contents.ts';
import { formatVolumeTree } from '../demo/volume-tree.ts';
import { NbdClient } from '../nbd-client/nbd-client.ts';
import { Playground } from './playground.ts';
import { StateFolder } from './state-folder.ts';
import { formatWelcome } from './welcome.ts';

/** Two starts of everything, on a machine that is busy with other tests. */
const timeoutMs = 240_000;

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'varve-pg-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

async function withPlayground<Result>(
  use: (playground: Playground, told: string[]) => Promise<Result>,
): Promise<Result> {
  const told: string[] = [];
  const playground = await Playground.start(StateFolder.open(directory), (line) => told.push(line));
  try {
    await playground.providePage('default');
    return await use(playground, told);
  } finally {
    await playground.stop();
  }
}

test(
  'a first start provides the page, and a restart goes on with all of it at the same address',
  async () => {
    const first = await withPlayground(async (playground) => {
      const [volume] = await playground.reachableVolumes('default');
      const welcome = formatWelcome(playground.folder, [volume!]);
      expect(welcome).toContain(`export KUBECONFIG=${join(directory, 'kubeconfig')}`);
      expect(welcome).toContain(volume!.nbdUri);
      const exportName = `volume/${volume!.volumeId}`;
      const client = await NbdClient.open(playground.folder.nbdSocket, exportName);
      expect(client.sizeBytes).toBe(256 * 1024 * 1024);
      expect((await client.read(0, 64)).toString()).toContain('written over NBD');
      await client.close();
      const snapshot = readPageManifest('volume-snapshot', 'default');
      await playground.cluster.apply(snapshot);
      await playground.cluster.waitFor(
        { ...snapshot, name: snapshot.metadata.name, namespace: 'default' },
        {
          what: 'the snapshot to be ready',
          isReached: (object) => JSON.stringify(object ?? {}).includes('"readyToUse":true'),
          timeoutMs: 60_000,
        },
      );
      const bytes = await fingerprint(playground.folder.nbdSocket, exportName);
      return { volume, bytes, settings: playground.folder.readSettings() };
    });
    await withPlayground(async (playground, told) => {
      expect(playground.folder.readSettings()).toEqual(first.settings);
      const [volume] = await playground.reachableVolumes('default');
      expect(volume).toEqual(first.volume);
      const exportName = `volume/${volume!.volumeId}`;
      expect(await fingerprint(playground.folder.nbdSocket, exportName)).toBe(first.bytes);
      const tree = await formatVolumeTree(playground.daemon);
      expect(tree).toMatch(/volume my-persistent-volume-claim +256 MiB/);
      expect(tree).toMatch(/└─ snapshot my-volume-snapshot +256 MiB/);
      expect(told).toEqual([]);
    });
  },
  timeoutMs,
);
