/**
 * Binds claims to volumes, as kube's persistent-volume-binder does for claims that an external provisioner serves.
 *
 * A claim is bound in two writes to the volume (reference, phase) and two to the claim (name, phase), in that order;
 * each pass makes what is missing, so it does not matter where the last one stopped.
 */
import { annotationOf, formatTime, type ApiObject } from '../../api-server/objects/api-object.ts';
import { asObject, readPath, textOf, type JsonObject } from '../../api-server/objects/json.ts';
import { defaultClassOf } from '../../api-server/registry/builtin/storage-classes.ts';
import type { DraftObject } from '../../api-server/registry/resource-definition.ts';
import { objectKey, type Change } from '../../api-server/storage/change.ts';
import { storageKeys, type ClusterAccess } from '../cluster-access.ts';
import type { KubeController } from '../controller-runner.ts';
import type { EventWriter } from '../event-writer.ts';
import {
  bindingAnnotations,
  claimReferenceOf,
  classNameOf,
  findFreeVolume,
  isReservedFor,
  mismatchOf,
  volumeNameOf,
} from './claim-and-volume.ts';

/** The node that pods would be on if there were one: a claim that waits for its first consumer is given it. */
const onlyNode = 'playground';

/** Keys are `namespace/name` of claims. */
export class ClaimController implements KubeController {
  readonly name = 'persistentvolume-binder';
  readonly #cluster: ClusterAccess;
  readonly #events: EventWriter;

  constructor(cluster: ClusterAccess, events: EventWriter) {
    this.#cluster = cluster;
    this.#events = events;
  }

  initialKeys(): string[] {
    return this.#cluster.list(storageKeys.claims).map((claim) => keyOf(claim));
  }

  keysOf(change: Change): string[] {
    switch (change.storageKey) {
      case storageKeys.claims:
        return change.type === 'DELETED' ? [] : [change.objectKey];
      case storageKeys.volumes:
        return this.#claimsFor(change.object);
      case storageKeys.classes:
      case storageKeys.pods:
        return this.#pendingClaims();
      default:
        return [];
    }
  }

  reconcile(key: string): void {
    const claim = this.#cluster.get(storageKeys.claims, key);
    if (claim === undefined) return;
    if (annotationOf(claim, bindingAnnotations.bindCompleted) !== undefined)
      this.#checkBound(claim);
    else if (volumeNameOf(claim) !== '') this.#bindToNamed(claim);
    else this.#bindToAny(claim);
  }

  #pendingClaims(): string[] {
    return this.#cluster
      .list(storageKeys.claims)
      .filter((claim) => annotationOf(claim, bindingAnnotations.bindCompleted) === undefined)
      .map((claim) => keyOf(claim));
  }

  /** A volume that is reserved concerns its claim; a free one may serve any that waits. */
  #claimsFor(volume: ApiObject): string[] {
    const reference = claimReferenceOf(volume);
    if (reference === undefined) return this.#pendingClaims();
    return [objectKey(reference.namespace, reference.name)];
  }

  #checkBound(claim: ApiObject): void {
    const volume = this.#cluster.get(storageKeys.volumes, volumeNameOf(claim));
    if (volume === undefined) {
      this.#lose(
        claim,
        'ClaimLost',
        'Bound claim has lost its PersistentVolume. Data on the volume is lost!',
      );
    } else if (claimReferenceOf(volume) === undefined || isReservedFor(volume, claim)) {
      this.#bind(claim, volume);
    } else {
      const message = 'Two claims are bound to the same volume, this one is bound incorrectly';
      this.#lose(claim, 'ClaimMisbound', message);
    }
  }

  #lose(claim: ApiObject, reason: string, message: string): void {
    if (readPath(claim, 'status', 'phase') === 'Lost') return;
    this.#cluster.changeStatus(storageKeys.claims, claim, (draft) => {
      draft['status'] = { ...asObject(draft['status']), phase: 'Lost' };
    });
    this.#events.write(claim, { type: 'Warning', reason, message });
  }

  #bindToNamed(claim: ApiObject): void {
    const volume = this.#cluster.get(storageKeys.volumes, volumeNameOf(claim));
    if (volume === undefined) return;
    const reference = claimReferenceOf(volume);
    if (reference !== undefined && !isReservedFor(volume, claim)) {
      const owner = `${reference.namespace}/${reference.name}`;
      const message = `volume "${volume.metadata.name}" already bound to a different claim (${owner}).`;
      this.#events.write(claim, { type: 'Warning', reason: 'FailedBinding', message });
      return;
    }
    const mismatch = mismatchOf(volume, claim);
    if (mismatch === undefined) this.#bind(claim, volume);
    else this.#reportMismatch(claim, volume, mismatch);
  }

  #reportMismatch(claim: ApiObject, volume: ApiObject, mismatch: string): void {
    const message = `Cannot bind to requested volume "${volume.metadata.name}": ${mismatch}`;
    this.#events.write(claim, { type: 'Warning', reason: 'VolumeMismatch', message });
  }

  #bindToAny(original: ApiObject): void {
    const claim = this.#withLateDefaultClass(original);
    const volumes = this.#cluster.list(storageKeys.volumes);
    const reserved = volumes.find((volume) => isReservedFor(volume, claim));
    if (reserved !== undefined) {
      const mismatch = mismatchOf(reserved, claim);
      if (mismatch === undefined) this.#bind(claim, reserved);
      else this.#reportMismatch(claim, reserved, mismatch);
      return;
    }
    const free = findFreeVolume(volumes, claim);
    if (free === undefined) this.#provision(claim);
    else this.#bind(claim, free);
  }

  /** A claim that was made before there was a default class gets it now. */
  #withLateDefaultClass(claim: ApiObject): ApiObject {
    if (readPath(claim, 'spec', 'storageClassName') !== undefined || classNameOf(claim) !== '') {
      return claim;
    }
    const found = defaultClassOf({
      now: () => this.#cluster.now,
      get: (storageKey, key) => this.#cluster.get(storageKey, key),
      list: (storageKey, namespace) => this.#cluster.list(storageKey, namespace),
    });
    if (found === undefined) return claim;
    return this.#cluster.change(storageKeys.claims, claim, (draft) => {
      draft['spec'] = { ...asObject(draft['spec']), storageClassName: found.metadata.name };
    });
  }

  #provision(claim: ApiObject): void {
    const className = classNameOf(claim);
    if (className === '') {
      const message = 'no persistent volumes available for this claim and no storage class is set';
      this.#events.write(claim, { type: 'Normal', reason: 'FailedBinding', message });
      return;
    }
    const storageClass = this.#cluster.get(storageKeys.classes, className);
    if (storageClass === undefined) {
      const message = `storageclass.storage.k8s.io "${className}" not found`;
      this.#events.write(claim, { type: 'Warning', reason: 'ProvisioningFailed', message });
      return;
    }
    const isDelayed = storageClass['volumeBindingMode'] === 'WaitForFirstConsumer';
    if (isDelayed && !this.#hasConsumer(claim)) {
      const message = 'waiting for first consumer to be created before binding';
      this.#events.write(claim, { type: 'Normal', reason: 'WaitForFirstConsumer', message });
      return;
    }
    this.#callProvisioner(claim, textOf(storageClass['provisioner']), isDelayed);
  }

  #hasConsumer(claim: ApiObject): boolean {
    if (annotationOf(claim, bindingAnnotations.selectedNode) !== undefined) return true;
    return this.#cluster
      .list(storageKeys.pods, claim.metadata.namespace)
      .some((pod) => usesClaim(pod, claim.metadata.name));
  }

  #callProvisioner(claim: ApiObject, provisioner: string, isDelayed: boolean): void {
    const node = isDelayed ? { [bindingAnnotations.selectedNode]: onlyNode } : {};
    this.#cluster.change(storageKeys.claims, claim, (draft) => {
      annotate(draft, {
        [bindingAnnotations.betaProvisioner]: provisioner,
        [bindingAnnotations.provisioner]: provisioner,
        ...node,
        ...asObject(draft.metadata['annotations']),
      });
    });
    const message =
      `Waiting for a volume to be created either by the external provisioner '${provisioner}' or manually by the ` +
      `system administrator. If volume creation is delayed, please verify that the provisioner is running and ` +
      `correctly registered.`;
    this.#events.write(claim, { type: 'Normal', reason: 'ExternalProvisioning', message });
  }

  #bind(claim: ApiObject, volume: ApiObject): void {
    const bound = this.#bindVolume(claim, volume);
    this.#bindClaim(claim, bound);
  }

  #bindVolume(claim: ApiObject, volume: ApiObject): ApiObject {
    const reference = claimReferenceOf(volume);
    let bound = volume;
    if (reference?.uid !== claim.metadata.uid) {
      bound = this.#cluster.change(storageKeys.volumes, volume, (draft) => {
        draft['spec'] = { ...asObject(draft['spec']), claimRef: referenceToClaim(claim) };
        annotate(draft, { [bindingAnnotations.boundByController]: 'yes' });
      });
    }
    return this.#cluster.changeStatus(storageKeys.volumes, bound, (draft) => {
      const { message: _message, reason: _reason, ...status } = asObject(draft['status']);
      const isNew = status['phase'] !== 'Bound';
      const changed = isNew ? { lastPhaseTransitionTime: formatTime(this.#cluster.now) } : {};
      draft['status'] = { ...status, ...changed, phase: 'Bound' };
    });
  }

  #bindClaim(claim: ApiObject, volume: ApiObject): void {
    const bound = this.#cluster.change(storageKeys.claims, claim, (draft) => {
      const isNamed = volumeNameOf(claim) !== '';
      draft['spec'] = { ...asObject(draft['spec']), volumeName: volume.metadata.name };
      annotate(draft, {
        ...(isNamed ? {} : { [bindingAnnotations.boundByController]: 'yes' }),
        [bindingAnnotations.bindCompleted]: 'yes',
      });
    });
    if (readPath(bound, 'status', 'phase') === 'Bound') return;
    this.#cluster.changeStatus(storageKeys.claims, bound, (draft) => {
      draft['status'] = { ...asObject(draft['status']), ...boundStatus(volume) };
    });
  }
}

function boundStatus(volume: ApiObject): JsonObject {
  const earlier = annotationOf(volume, bindingAnnotations.preResizeCapacity);
  const capacity = asObject(readPath(volume, 'spec', 'capacity'));
  return {
    phase: 'Bound',
    accessModes: readPath(volume, 'spec', 'accessModes') ?? [],
    capacity: earlier === undefined ? capacity : { ...capacity, storage: earlier },
  };
}

function referenceToClaim({ metadata }: ApiObject): JsonObject {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    namespace: metadata.namespace,
    name: metadata.name,
    uid: metadata.uid,
    resourceVersion: metadata.resourceVersion,
  };
}

function annotate(draft: DraftObject, annotations: JsonObject): void {
  draft.metadata['annotations'] = { ...asObject(draft.metadata['annotations']), ...annotations };
}

function keyOf({ metadata }: ApiObject): string {
  return objectKey(metadata.namespace, metadata.name);
}

/** Whether a pod mounts the claim of that name. */
export function usesClaim(pod: ApiObject, claimName: string): boolean {
  const volumes = readPath(pod, 'spec', 'volumes');
  return (
    Array.isArray(volumes) &&
    volumes.some((volume) => readPath(volume, 'persistentVolumeClaim', 'claimName') === claimName)
  );
}
