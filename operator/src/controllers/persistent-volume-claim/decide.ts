/**
 * What to do next about one PersistentVolumeClaim: the world in, one decision out. Pure. The order of the checks: a
 * claim that has its volume is finished; one that is given up leaves nothing behind; then whose it is, what it asks
 * for, what it is to be made from, where; the place is written down and the source protected before the daemon is
 * asked. A source that cannot be used is never replaced by nothing: there is no way from a claim with a source to an
 * empty volume.
 */
import type { PersistentVolumeClaim, StorageClass } from '../../kube/core-kinds.ts';
import { hasFinalizer } from '../../kube/finalizer.ts';
import { isTerminating, type Condition } from '../../kube/kubernetes-object.ts';
import type { VolumeSnapshot } from '../../kube/snapshot-kinds.ts';
import { annotationOf } from '../shared/annotation.ts';
import { withoutCondition } from '../shared/condition-list.ts';
import { conditionTypes } from '../shared/condition-types.ts';
import type { DecisionContext } from '../shared/decision-context.ts';
import { annotations, finalizers } from '../shared/protocol-names.ts';
import { parsePlacement, type Placement } from '../shared/storage-handle.ts';
import { readDemand, type VolumeDemand } from './claim-check.ts';
import { failureWrite, type StatusWrite } from './claim-status.ts';
import { volumeName } from './names.ts';
import { choosePlacement } from './placement.ts';
import { checkSource, type UsableSource } from './source-check.ts';
import type { World } from './world.ts';

/** A volume that can be made, and of what. */
export interface Order {
  readonly storageClass: StorageClass;
  readonly demand: VolumeDemand;
  readonly source: UsableSource | undefined;
}

/** One step for the reconciler. */
export type Decision =
  | { readonly kind: 'nothing'; readonly because: string }
  | { readonly kind: 'write-status'; readonly write: StatusWrite }
  /** Write down where an empty volume will be made, and hold the claim until it is. */
  | { readonly kind: 'place'; readonly placement: Placement }
  /** The same for a copy: it goes to the pool of its source, which the daemon knows. */
  | { readonly kind: 'place-beside-source'; readonly order: Order; readonly source: UsableSource }
  | { readonly kind: 'protect-snapshot'; readonly snapshot: VolumeSnapshot }
  | { readonly kind: 'protect-claim'; readonly source: PersistentVolumeClaim }
  /** Ask the daemon, then create the PersistentVolume. */
  | { readonly kind: 'create-volume'; readonly placement: Placement; readonly order: Order }
  /** The PersistentVolume is there: let go of the claim. */
  | { readonly kind: 'release' }
  /** Nothing waits any more: take the condition away that said so. */
  | { readonly kind: 'clear-condition'; readonly conditions: readonly Condition[] }
  /** Delete what may have been made at the daemon, then let go of the claim. */
  | { readonly kind: 'abandon'; readonly placement: Placement | undefined };

/** Decides the next step. */
export function decide(world: World, context: DecisionContext): Decision {
  const { claim } = world;
  if (claim === undefined) return nothing('the claim is gone');
  if (world.volume !== undefined) return decideProvisioned(claim);
  if (isTerminating(claim) || (claim.spec.volumeName ?? '') !== '') return decideGivenUp(claim);

  const { storageClass } = world;
  const foreign = foreignReason(claim, storageClass, context.driverName);
  if (foreign !== undefined) return nothing(foreign);
  if (storageClass === undefined) {
    const name = world.className ?? '';
    return wait(
      claim,
      `storageclass.storage.k8s.io "${name}" not found; the claim waits for it`,
      context,
    );
  }
  const placement = parsePlacement(annotationOf(claim, annotations.claimPlacement) ?? '');
  // Once the daemon may have been asked we go on, also if the scheduler changes its mind.
  if (placement === undefined && waitsForConsumer(claim, storageClass)) {
    return nothing('the scheduler has not chosen a node yet');
  }
  const order = readOrder(claim, storageClass, world, context);
  if (typeof order === 'string') return wait(claim, order, context);
  if (placement === undefined || !hasFinalizer(claim, finalizers.claimProvisioning)) {
    return decidePlacement(claim, world, order, context);
  }
  return protection(world) ?? { kind: 'create-volume', placement, order };
}

function decideProvisioned(claim: PersistentVolumeClaim): Decision {
  const isHeld = hasFinalizer(claim, finalizers.claimProvisioning);
  if (isTerminating(claim)) return isHeld ? { kind: 'release' } : nothing('it is being deleted');
  // Not before: kube's controller is writing to the claim until it is bound.
  if (claim.status?.phase !== 'Bound') return nothing('the volume is there; kube binds it');
  if (isHeld) return { kind: 'release' };
  const conditions = withoutCondition(claim.status.conditions, conditionTypes.provisioned);
  return conditions === undefined
    ? nothing('it is bound')
    : { kind: 'clear-condition', conditions };
}

/** The claim is being deleted, or was bound to another volume, and its own does not exist in Kubernetes. */
function decideGivenUp(claim: PersistentVolumeClaim): Decision {
  if (!hasFinalizer(claim, finalizers.claimProvisioning)) return nothing('it is not held by us');
  // It had its volume once. Whether the data of that goes was decided when the PersistentVolume went.
  if (claim.spec.volumeName === volumeName(claim.metadata.uid)) return { kind: 'release' };
  const placement = parsePlacement(annotationOf(claim, annotations.claimPlacement) ?? '');
  return { kind: 'abandon', placement };
}

function foreignReason(
  claim: PersistentVolumeClaim,
  storageClass: StorageClass | undefined,
  driverName: string,
): string | undefined {
  const provisioner =
    annotationOf(claim, annotations.claimProvisioner) ??
    annotationOf(claim, annotations.claimProvisionerBeta);
  if (provisioner === undefined) return "kube's volume controller has not looked at it yet";
  if (provisioner !== driverName) return 'another driver provisions it';
  return storageClass === undefined || storageClass.provisioner === driverName
    ? undefined
    : 'its class is of another driver';
}

function waitsForConsumer(claim: PersistentVolumeClaim, storageClass: StorageClass): boolean {
  if (storageClass.volumeBindingMode !== 'WaitForFirstConsumer') return false;
  const node =
    annotationOf(claim, annotations.claimSelectedNode) ??
    annotationOf(claim, annotations.claimSelectedNodeAlpha);
  return (node ?? '') === '';
}

function readOrder(
  claim: PersistentVolumeClaim,
  storageClass: StorageClass,
  world: World,
  { driverName }: DecisionContext,
): Order | string {
  const demand = readDemand(claim, storageClass);
  if (typeof demand === 'string') return demand;
  const source = checkSource(world.source, { claim, demand, driverName });
  return typeof source === 'string' ? source : { storageClass, demand, source };
}

function decidePlacement(
  claim: PersistentVolumeClaim,
  world: World,
  order: Order,
  context: DecisionContext,
): Decision {
  const { source, demand, storageClass } = order;
  if (source !== undefined) {
    const { daemon } = source.handle;
    if (demand.daemon === undefined || demand.daemon === daemon) {
      return { kind: 'place-beside-source', order, source };
    }
    const { name } = storageClass.metadata;
    const message =
      `the source is on StorageDaemon ${daemon}, and a copy stays with its source, ` +
      `but StorageClass ${name} places volumes on ${demand.daemon} only`;
    return wait(claim, message, context);
  }
  const placement = choosePlacement(world.daemons, demand);
  return typeof placement === 'string'
    ? wait(claim, placement, context)
    : { kind: 'place', placement };
}

/** The source must outlive the copying: its finalizers are taken away by `source-protection`. */
function protection({ source }: World): Decision | undefined {
  if (source.kind === 'snapshot' && source.snapshot !== undefined) {
    const { snapshot } = source;
    const isProtected = hasFinalizer(snapshot, finalizers.snapshotRestoring);
    // An object that is being deleted takes no new finalizers; this one waits for the claim by itself.
    if (!isProtected && !isTerminating(snapshot)) return { kind: 'protect-snapshot', snapshot };
  }
  if (source.kind === 'claim' && source.claim !== undefined) {
    const isProtected = hasFinalizer(source.claim, finalizers.claimCloning);
    if (!isProtected) return { kind: 'protect-claim', source: source.claim };
  }
  return undefined;
}

function wait(claim: PersistentVolumeClaim, message: string, context: DecisionContext): Decision {
  const write = failureWrite(claim, message, context);
  return write === undefined ? nothing(message) : { kind: 'write-status', write };
}

function nothing(because: string): Decision {
  return { kind: 'nothing', because };
}
