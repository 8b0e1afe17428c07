/**
 * What users type besides the page: the same commands must end the same way and say the same on both kinds of
 * cluster. The expectations are those of the real API server.
 */
import assert from 'node:assert/strict';
import { claimManifest, snapshotManifest, sourcePage } from '../product/manifests.ts';
import type { Site } from '../product/site.ts';
import type { EndToEndTest } from '../runner/end-to-end-test.ts';

const gibibyte = 2 ** 30;

interface Command {
  readonly args: readonly string[];
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Default 0. */
  readonly code?: number;
  /** What stdout or stderr must contain. */
  readonly says?: readonly (string | RegExp)[];
}

const list = JSON.stringify({
  apiVersion: 'v1',
  kind: 'List',
  items: [claimManifest('listed', '64Mi'), snapshotManifest('listed-snapshot', 'listed')],
});

const misspelt = JSON.stringify(snapshotManifest('misspelt', 'listed')).replace(
  'persistentVolumeClaimName',
  'persistentVolumeClaim',
);

const twoSources = JSON.stringify({
  apiVersion: 'snapshot.storage.k8s.io/v1',
  kind: 'VolumeSnapshot',
  metadata: { name: 'two-sources' },
  spec: { source: { persistentVolumeClaimName: 'a', volumeSnapshotContentName: 'b' } },
});

const badDaemon = JSON.stringify({
  apiVersion: 'varve.dev/v1alpha1',
  kind: 'StorageDaemon',
  metadata: { name: 'bad' },
  spec: { endpoint: 'ftp://nowhere' },
});

/** What another field manager wants of a label that `kubectl patch` has set. */
const relabelled = JSON.stringify({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name: 'listed', labels: { tier: 'silver' } },
});

const stdin = ['-f', '-'];
const mergePatch = '{"metadata":{"labels":{"tier":"gold"}}}';
const jsonPatch = '[{"op":"add","path":"/metadata/labels/team","value":"storage"}]';

/** Reading, writing and waiting: in this order, each on what those before it left. */
const commands: readonly Command[] = [
  { args: ['apply', ...stdin], input: list, says: ['/listed created', '/listed-snapshot created'] },
  { args: ['apply', ...stdin], input: list, says: ['/listed unchanged'] },
  { args: ['wait', 'vs/listed-snapshot', '--for=condition=Ready', '--timeout=60s'] },
  { args: ['get', 'pvc', 'listed', '-o', 'name'], says: ['persistentvolumeclaim/listed'] },
  {
    args: ['get', 'pvc,vs', '-o', 'wide'],
    says: ['VOLUMEMODE', 'Filesystem', 'READYTOUSE', 'listed-snapshot'],
  },
  { args: ['get', 'vsc'], says: ['RESTORESIZE', 'csi.varve.dev', '67108864'] },
  { args: ['get', 'storagedaemons'], says: ['READY', 'FREE', 'True'] },
  { args: ['get', 'varve'], says: ['READY', 'kubectl-commands'] },
  { args: ['explain', 'volumesnapshot.spec.source'], says: ['persistentVolumeClaimName'] },
  { args: ['api-resources', '--api-group=varve.dev'], says: ['storagedaemons', 'StorageDaemon'] },
  { args: ['label', 'vs', 'listed-snapshot', 'app=web'], says: ['labeled'] },
  { args: ['annotate', 'vs', 'listed-snapshot', 'note=hello'], says: ['annotated'] },
  { args: ['get', 'vs', '-l', 'app=web', '-o', 'name'], says: ['listed-snapshot'] },
  { args: ['patch', 'vs', 'listed-snapshot', '--type=merge', '-p', mergePatch], says: ['patched'] },
  { args: ['patch', 'vs', 'listed-snapshot', '--type=json', '-p', jsonPatch], says: ['patched'] },
  { args: ['patch', 'pvc', 'listed', '-p', mergePatch], says: ['patched'] },
  {
    args: ['patch', 'vs', 'listed-snapshot', '-p', mergePatch],
    code: 1,
    says: ['application/strategic-merge-patch+json is not supported'],
  },
  {
    args: ['edit', 'vs', 'listed-snapshot'],
    env: { KUBE_EDITOR: 'sed -i s/hello/edited/' },
    says: ['edited'],
  },
  {
    args: ['get', 'vs', 'listed-snapshot', '-o', 'jsonpath={.metadata.annotations.note}'],
    says: ['edited'],
  },
  {
    args: ['get', 'vs', 'listed-snapshot', '-o', 'jsonpath={.metadata.labels}'],
    says: ['"app":"web"', '"team":"storage"', '"tier":"gold"'],
  },
  {
    args: ['patch', 'pvc', 'listed', '-p', '{"spec":{"resources":{"requests":{"storage":"1Mi"}}}}'],
    code: 1,
    says: ['Forbidden'],
  },
  { args: ['apply', '--server-side', ...stdin], input: list, says: ['serverside-applied'] },
  {
    args: ['apply', '--server-side', '--field-manager=other', ...stdin],
    input: relabelled,
    code: 1,
    says: ['conflict', '.metadata.labels.tier'],
  },
  { args: ['apply', '--dry-run=server', ...stdin], input: list, says: ['(server dry run)'] },
  { args: ['create', ...stdin], input: list, code: 1, says: ['AlreadyExists'] },
  { args: ['apply', ...stdin], input: misspelt, code: 1, says: ['unknown field'] },
  { args: ['apply', ...stdin], input: twoSources, code: 1, says: ['exactly one'] },
  { args: ['apply', ...stdin], input: badDaemon, code: 1, says: ['spec.endpoint'] },
  { args: ['get', 'vs', 'nowhere'], code: 1, says: ['NotFound', '"nowhere" not found'] },
  { args: ['get', 'volumes'], code: 1, says: [`have a resource type "volumes"`] },
  { args: ['events', '--for', 'volumesnapshot/listed-snapshot'], says: ['SnapshotReady'] },
  { args: ['describe', 'pvc', 'listed'], says: ['Bound', 'ProvisioningSucceeded'] },
  { args: ['describe', 'pv'], says: ['csi.varve.dev', 'VolumeHandle'] },
  { args: ['describe', 'sc', sourcePage.storageClass], says: ['IsDefaultClass', 'csi.varve.dev'] },
  { args: ['create', 'namespace', 'kubectl-commands-other'], says: ['created'] },
  { args: ['delete', 'namespace', 'kubectl-commands-other'], says: ['deleted'] },
  { args: ['delete', 'vs', '-l', 'app=web'], says: ['"listed-snapshot" deleted'] },
  { args: ['wait', 'vs/listed-snapshot', '--for=delete', '--timeout=60s'] },
  { args: ['delete', ...stdin, '--ignore-not-found'], input: list, says: ['"listed" deleted'] },
  { args: ['get', 'pvc,vs'], says: ['No resources found'] },
];

/** kubectl's usual verbs on claims, snapshots and our own resources. */
export const kubectlCommandsTest: EndToEndTest = {
  name: 'kubectl-commands',
  summary: `${commands.length} kubectl commands end and answer as on a real API server`,
  clusters: ['embedded', 'real'],
  programs: [],
  poolBytes: gibibyte,
  timeoutMs: 240_000,
  run: async (site) => {
    for (const command of commands) await expectCommand(site, command);
  },
};

async function expectCommand(site: Site, command: Command): Promise<void> {
  const { stdout, stderr, code } = await site.kubectl.try(command.args, {
    ...(command.input === undefined ? {} : { input: command.input }),
    ...(command.env === undefined ? {} : { env: command.env }),
    timeoutMs: 90_000,
  });
  const said = `${stdout}${stderr}`;
  const line = `kubectl ${command.args.join(' ')}`;
  assert.equal(code, command.code ?? 0, `${line} ended with ${code}: ${said}`);
  for (const word of command.says ?? []) {
    const isSaid = typeof word === 'string' ? said.includes(word) : word.test(said);
    assert.ok(isSaid, `${line} says "${String(word)}": ${said}`);
  }
}
