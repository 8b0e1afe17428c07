import type {
  VolumeRevertSpec,
  VolumeRevertStatus,
} from '@varve/contract/kubernetes/volume-revert';
import type { Condition, KubernetesObject } from './kubernetes-object.ts';

/** varve.dev/v1alpha1 VolumeRevert: puts the volume of a claim back to a snapshot, in place and once. */
export interface VolumeRevert extends KubernetesObject {
  readonly spec: VolumeRevertSpec;
  readonly status?: Omit<VolumeRevertStatus, 'conditions'> & {
    readonly conditions?: readonly Condition[];
  };
}
