/** What binding reads of claims and volumes (kubernetes/pkg/controller/volume/persistentvolume). */
import {
  annotationOf,
  isTerminating,
  type ApiObject,
} from '../../api-server/objects/api-object.ts';
import {
  asList,
  asObject,
  asString,
  equalJson,
  readPath,
  textOf,
} from '../../api-server/objects/json.ts';
import { compareQuantities } from '../../api-server/objects/quantity.ts';
import { parseLabelSelector } from '../../api-server/objects/selectors.ts';

/** Annotations that binding reads and writes. */
export const bindingAnnotations = {
  bindCompleted: 'pv.kubernetes.io/bind-completed',
  boundByController: 'pv.kubernetes.io/bound-by-controller',
  provisionedBy: 'pv.kubernetes.io/provisioned-by',
  provisioner: 'volume.kubernetes.io/storage-provisioner',
  betaProvisioner: 'volume.beta.kubernetes.io/storage-provisioner',
  selectedNode: 'volume.kubernetes.io/selected-node',
  legacyClass: 'volume.beta.kubernetes.io/storage-class',
  preResizeCapacity: 'volume.alpha.kubernetes.io/pre-resize-capacity',
} as const;

/** The class that a claim or volume names; '' for none. */
export function classNameOf(object: ApiObject): string {
  return (
    annotationOf(object, bindingAnnotations.legacyClass) ??
    asString(readPath(object, 'spec', 'storageClassName')) ??
    ''
  );
}

/** The volume that a claim names; '' for none. */
export function volumeNameOf(claim: ApiObject): string {
  return asString(readPath(claim, 'spec', 'volumeName')) ?? '';
}

/** The claim that a volume is reserved for. */
export interface ClaimReference {
  readonly namespace: string;
  readonly name: string;
  /** '' while nobody has bound it: any claim of the name may have the volume. */
  readonly uid: string;
}

/** The claim that a volume names, undefined if it names none. */
export function claimReferenceOf(volume: ApiObject): ClaimReference | undefined {
  const reference = readPath(volume, 'spec', 'claimRef');
  if (reference === undefined) return undefined;
  const { namespace, name, uid } = asObject(reference);
  return { namespace: textOf(namespace), name: textOf(name), uid: textOf(uid) };
}

/** Whether the volume is reserved for just this claim. */
export function isReservedFor(volume: ApiObject, claim: ApiObject): boolean {
  const reference = claimReferenceOf(volume);
  if (reference === undefined) return false;
  const { metadata } = claim;
  const isNamed = reference.name === metadata.name && reference.namespace === metadata.namespace;
  return isNamed && (reference.uid === '' || reference.uid === metadata.uid);
}

/** What keeps a volume from serving a claim, or undefined if it can. */
export function mismatchOf(volume: ApiObject, claim: ApiObject): string | undefined {
  const wanted = readPath(claim, 'spec', 'resources', 'requests', 'storage');
  if (compareQuantities(readPath(volume, 'spec', 'capacity', 'storage'), wanted) < 0) {
    return 'requested PV is too small';
  }
  if (classNameOf(volume) !== classNameOf(claim)) return 'storageClassName does not match';
  const modes = asList(readPath(volume, 'spec', 'accessModes'));
  const wantedModes = asList(readPath(claim, 'spec', 'accessModes'));
  if (!wantedModes.every((mode) => modes.includes(mode))) return 'incompatible accessMode';
  const volumeMode = readPath(volume, 'spec', 'volumeMode') ?? 'Filesystem';
  if (!equalJson(volumeMode, readPath(claim, 'spec', 'volumeMode') ?? 'Filesystem')) {
    return 'incompatible volumeMode';
  }
  return undefined;
}

/**
 * The smallest free volume that serves a claim which names none. A claim with a data source is never matched: only
 * its provisioner can give it the data.
 */
export function findFreeVolume(
  volumes: readonly ApiObject[],
  claim: ApiObject,
): ApiObject | undefined {
  const selector = readPath(claim, 'spec', 'selector');
  const isSelected = selector === undefined ? (): boolean => true : selectorOf(asObject(selector));
  const hasSource = readPath(claim, 'spec', 'dataSourceRef') !== undefined;
  return volumes
    .filter((volume) => !isTerminating(volume) && claimReferenceOf(volume) === undefined)
    .filter((volume) => !hasSource && isSelected(volume))
    .filter((volume) => mismatchOf(volume, claim) === undefined)
    .toSorted((left, right) =>
      compareQuantities(
        readPath(left, 'spec', 'capacity', 'storage'),
        readPath(right, 'spec', 'capacity', 'storage'),
      ),
    )[0];
}

/** A LabelSelector object as a function: its terms are those of the text form. */
function selectorOf(selector: {
  readonly [member: string]: unknown;
}): (object: ApiObject) => boolean {
  const equal = Object.entries(asObject(selector['matchLabels'])).map(
    ([key, value]) => `${key}=${textOf(value)}`,
  );
  const expressions = asList(selector['matchExpressions']).map((each) => {
    const { key, operator, values } = asObject(each);
    const listed = asList(values)
      .map((value) => textOf(value))
      .join(',');
    if (operator === 'Exists') return textOf(key);
    if (operator === 'DoesNotExist') return `!${textOf(key)}`;
    return `${textOf(key)} ${textOf(operator).toLowerCase()} (${listed})`;
  });
  return parseLabelSelector([...equal, ...expressions].join(','));
}
