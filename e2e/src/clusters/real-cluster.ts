/**
 * The judge: a real API server, with the operator under a ServiceAccount that may do what its ClusterRole says
 * and no more.
 */
import { join } from 'node:path';
import { runCommand } from '../process/run-command.ts';
import type { Cluster } from './cluster.ts';
import { ControlPlane } from './control-plane.ts';
import { writeKubeconfig } from './kubeconfig-file.ts';

/** Longer than any run of the tests. */
const operatorTokenLifetime = '4h';
const accessManifest = join(import.meta.dirname, '../../../operator/kubernetes/access.yaml');

/** Starts a real control plane in the directory. */
export async function startRealCluster(options: {
  readonly directory: string;
  readonly tools: ReadonlyMap<string, string>;
}): Promise<Cluster> {
  const controlPlane = await ControlPlane.start(options);
  const kubectl = options.tools.get('kubectl') ?? 'kubectl';
  return {
    kind: 'real',
    description: 'kube-apiserver with RBAC, kube-controller-manager and etcd',
    kubeconfig: controlPlane.adminKubeconfig,
    prepareOperatorIdentity: async () => {
      const asAdmin = ['--kubeconfig', controlPlane.adminKubeconfig];
      await runCommand(kubectl, [...asAdmin, 'apply', '-f', accessManifest]);
      const token = await runCommand(kubectl, [
        ...asAdmin,
        'create',
        'token',
        'varve-operator',
        '--namespace=varve-system',
        `--duration=${operatorTokenLifetime}`,
      ]);
      const kubeconfig = join(options.directory, 'operator.kubeconfig');
      writeKubeconfig(kubeconfig, {
        server: controlPlane.server,
        token: token.trim(),
        certificateAuthorityFile: controlPlane.certificateFile,
        tlsServerName: controlPlane.tlsServerName,
      });
      return kubeconfig;
    },
    logTails: () => controlPlane.logTails(),
    stop: () => controlPlane.stop(),
  };
}
