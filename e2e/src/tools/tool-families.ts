/**
 * The programs that are built from the Go module proxy, each family pinned by its own
 * `e2e/tools/<family>/go.mod` and `go.sum`. There is no Go code of ours: only `tool`, `require` and `replace`
 * lines.
 */
import { join } from 'node:path';

/** One program of a family. */
export interface ToolBinary {
  readonly name: string;
  /** What `go build` is given. */
  readonly packagePath: string;
  /** Seconds a cold build took on two cores, for the progress lines. */
  readonly usualBuildSeconds: number;
}

/** Programs that share a go.mod. */
export interface ToolFamily {
  readonly name: string;
  readonly directory: string;
  readonly linkerFlags: string;
  readonly binaries: readonly ToolBinary[];
}

/** The version of Kubernetes that the real API server, its controllers and kubectl have. */
export const kubernetesVersion = { full: 'v1.36.3', major: '1', minor: '36' } as const;

const toolsDirectory = join(import.meta.dirname, '../../tools');
const versionPackage = 'k8s.io/component-base/version';

/** All families, in the order in which they are built. */
export const toolFamilies: readonly ToolFamily[] = [
  {
    name: 'etcd',
    directory: join(toolsDirectory, 'etcd'),
    linkerFlags: '-s -w',
    binaries: [{ name: 'etcd', packagePath: 'go.etcd.io/etcd/server/v3', usualBuildSeconds: 40 }],
  },
  {
    name: 'csi-sanity',
    directory: join(toolsDirectory, 'csi-sanity'),
    linkerFlags: '-s -w',
    binaries: [
      {
        name: 'csi-sanity',
        packagePath: 'github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity',
        usualBuildSeconds: 20,
      },
    ],
  },
  {
    name: 'kubernetes',
    directory: join(toolsDirectory, 'kubernetes'),
    // Without a version the components call themselves v0.0.0 and refuse each other.
    linkerFlags: [
      '-s -w',
      `-X ${versionPackage}.gitVersion=${kubernetesVersion.full}`,
      `-X ${versionPackage}.gitMajor=${kubernetesVersion.major}`,
      `-X ${versionPackage}.gitMinor=${kubernetesVersion.minor}`,
    ].join(' '),
    binaries: [
      { name: 'kubectl', packagePath: 'k8s.io/kubernetes/cmd/kubectl', usualBuildSeconds: 90 },
      {
        name: 'kube-apiserver',
        packagePath: 'k8s.io/kubernetes/cmd/kube-apiserver',
        usualBuildSeconds: 250,
      },
      {
        name: 'kube-controller-manager',
        packagePath: 'k8s.io/kubernetes/cmd/kube-controller-manager',
        usualBuildSeconds: 65,
      },
    ],
  },
];
