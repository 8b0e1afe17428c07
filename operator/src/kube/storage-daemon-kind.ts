import type {
  StorageDaemonSpec,
  StorageDaemonStatus,
} from '@varve/contract/kubernetes/storage-daemon';
import type { KubernetesObject } from './kubernetes-object.ts';

/** varve.dev/v1alpha1 StorageDaemon: a daemon that the operator may use, and how it is. */
export interface StorageDaemon extends KubernetesObject {
  readonly spec: StorageDaemonSpec;
  readonly status?: StorageDaemonStatus;
}
