/** What the playground prints when it is ready. */
import { relative } from 'node:path';
import type { ReachableVolume } from './playground.ts';
import type { StateFolder } from './state-folder.ts';

/** A path below the present directory is shown without it. */
function shorten(path: string): string {
  const below = relative(process.cwd(), path);
  return below === '' || below.startsWith('..') ? path : below;
}

/** As a shell takes it for one word. */
function quote(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`;
}

/** The text: the line to paste, what to type next, and where the volumes are. */
export function formatWelcome(folder: StateFolder, volumes: readonly ReachableVolume[]): string {
  const addresses = [
    'Volumes over NBD (qemu-img, nbdcopy, nbdinfo and fio take these addresses; quote them):',
    '',
    ...volumes.flatMap(({ claim, nbdUri }) => [`  ${claim}`, `    ${nbdUri}`]),
    '',
  ];
  return [
    '',
    'The playground is ready. In another terminal:',
    '',
    `  export KUBECONFIG=${quote(folder.kubeconfigFile)}`,
    '',
    '  kubectl get pvc,storageclass,volumesnapshotclass,storagedaemon',
    '  kubectl apply -f docs/examples/volume-snapshot.yaml',
    '  kubectl get volumesnapshot',
    '  kubectl apply -f docs/examples/restored-claim.yaml',
    '  kubectl describe pvc my-restored-snapshot-volume',
    '',
    ...(volumes.length === 0 ? [] : addresses),
    `State and logs are in ${shorten(folder.path)}. Ctrl-C stops; the next start goes on from there.`,
    '',
  ].join('\n');
}
