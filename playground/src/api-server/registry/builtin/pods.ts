/**
 * Pods: accepted, given their defaults, and left Pending, since the playground has no kubelet. What users go
 * wrong with is checked: names of containers and volumes, mounts of volumes that are not there, and changes
 * that a pod does not allow.
 */
import type { FieldError } from '../../objects/api-error.ts';
import type { ApiObject } from '../../objects/api-object.ts';
import {
  duplicate,
  forbiddenField,
  invalidValue,
  notSupported,
  required,
} from '../../objects/field-errors.ts';
import {
  asList,
  asObject,
  asString,
  equalJson,
  readPath,
  type Json,
  type JsonObject,
  type MutableJsonObject,
} from '../../objects/json.ts';
import { labelNameError } from '../../objects/names.ts';
import { textColumn } from '../columns.ts';
import type { DraftObject } from '../resource-definition.ts';
import { textAt, type BuiltInKind } from './built-in-resource.ts';

const noKubelet = 'the playground has no kubelet: pods stay Pending';

function prepareContainer(container: Json): Json {
  const image = textAt(asObject(container), 'image');
  const isMoving = !/[:@][^/]+$/.test(image) || image.endsWith(':latest');
  return {
    imagePullPolicy: isMoving ? 'Always' : 'IfNotPresent',
    resources: {},
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    ...asObject(container),
  };
}

function prepareSpec(draft: DraftObject): void {
  const spec: MutableJsonObject = { ...asObject(draft['spec']) };
  spec['restartPolicy'] ??= 'Always';
  spec['dnsPolicy'] ??= 'ClusterFirst';
  spec['schedulerName'] ??= 'default-scheduler';
  spec['terminationGracePeriodSeconds'] ??= 30;
  spec['securityContext'] ??= {};
  spec['enableServiceLinks'] ??= true;
  spec['priority'] ??= 0;
  spec['preemptionPolicy'] ??= 'PreemptLowerPriority';
  spec['serviceAccountName'] ??= 'default';
  spec['serviceAccount'] ??= spec['serviceAccountName'];
  spec['tolerations'] ??= ['not-ready', 'unreachable'].map((condition) => ({
    key: `node.kubernetes.io/${condition}`,
    operator: 'Exists',
    effect: 'NoExecute',
    tolerationSeconds: 300,
  }));
  for (const member of ['containers', 'initContainers']) {
    if (spec[member] !== undefined) {
      spec[member] = asList(spec[member]).map((each) => prepareContainer(each));
    }
  }
  draft['spec'] = spec;
}

function validate(object: ApiObject): FieldError[] {
  const spec = asObject(object['spec']);
  const containers = asList(spec['containers']);
  const volumes = asList(spec['volumes']);
  const volumeNames = new Set(volumes.map((each) => textAt(asObject(each), 'name')));
  const errors: FieldError[] = [];
  if (containers.length === 0) errors.push(required('spec.containers'));
  errors.push(
    ...validateNames(containers, 'spec.containers'),
    ...validateNames(volumes, 'spec.volumes'),
  );
  containers.forEach((container, index) => {
    errors.push(
      ...validateContainer(asObject(container), `spec.containers[${index}]`, volumeNames),
    );
  });
  volumes.forEach((volume, index) => errors.push(...validateVolume(asObject(volume), index)));
  const policies = ['Always', 'OnFailure', 'Never'];
  if (!policies.includes(textAt(spec, 'restartPolicy'))) {
    errors.push(notSupported('spec.restartPolicy', spec['restartPolicy'], policies));
  }
  return errors;
}

function validateNames(list: readonly Json[], path: string): FieldError[] {
  const seen = new Set<string>();
  return list.flatMap((each, index) => {
    const name = textAt(asObject(each), 'name');
    const field = `${path}[${index}].name`;
    if (name === '') return [required(field)];
    const error = labelNameError(name);
    if (error !== undefined) return [invalidValue(field, name, error)];
    if (seen.has(name)) return [duplicate(field, name)];
    seen.add(name);
    return [];
  });
}

function validateContainer(
  container: JsonObject,
  path: string,
  volumeNames: ReadonlySet<string>,
): FieldError[] {
  const errors: FieldError[] = [];
  if (textAt(container, 'image') === '') errors.push(required(`${path}.image`));
  asList(container['volumeMounts']).forEach((mount, index) => {
    const field = `${path}.volumeMounts[${index}]`;
    const name = textAt(asObject(mount), 'name');
    if (name === '') errors.push(required(`${field}.name`));
    else if (!volumeNames.has(name)) {
      errors.push({
        field: `${field}.name`,
        reason: 'FieldValueNotFound',
        message: `Not found: ${JSON.stringify(name)}`,
      });
    }
    if (textAt(asObject(mount), 'mountPath') === '') errors.push(required(`${field}.mountPath`));
  });
  return errors;
}

function validateVolume(volume: JsonObject, index: number): FieldError[] {
  const path = `spec.volumes[${index}]`;
  const sources = Object.keys(volume).filter((member) => member !== 'name');
  if (sources.length === 0) return [required(path, 'must specify a volume type')];
  const extra = sources.slice(1);
  if (extra.length > 0) {
    return extra.map((member) =>
      forbiddenField(`${path}.${member}`, 'may not specify more than 1 volume type'),
    );
  }
  const claim = volume['persistentVolumeClaim'];
  if (claim !== undefined && textAt(asObject(claim), 'claimName') === '') {
    return [required(`${path}.persistentVolumeClaim.claimName`)];
  }
  return [];
}

/** Of a pod's specification only images, the deadline, tolerations and the grace period may change. */
function validateUpdate(object: ApiObject, previous: ApiObject): FieldError[] {
  if (equalJson(fixedPart(object), fixedPart(previous))) return [];
  return [
    forbiddenField(
      'spec',
      'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,' +
        '`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),' +
        '`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
    ),
  ];
}

function fixedPart(object: ApiObject): JsonObject {
  const fixed: MutableJsonObject = { ...asObject(object['spec']) };
  for (const member of [
    'activeDeadlineSeconds',
    'tolerations',
    'terminationGracePeriodSeconds',
    'nodeName',
  ]) {
    delete fixed[member];
  }
  for (const member of ['containers', 'initContainers']) {
    fixed[member] = asList(fixed[member]).map((each) => ({ ...asObject(each), image: undefined }));
  }
  return fixed;
}

function readyContainers(object: JsonObject): string {
  const total = asList(readPath(object, 'spec', 'containers')).length;
  const ready = asList(readPath(object, 'status', 'containerStatuses')).filter(
    (each) => asObject(each)['ready'] === true,
  );
  return `${ready.length}/${total}`;
}

function statusText(object: JsonObject): string {
  if (readPath(object, 'metadata', 'deletionTimestamp') !== undefined) return 'Terminating';
  const reason = asString(readPath(object, 'status', 'reason'));
  return reason ?? textAt(object, 'status', 'phase');
}

function orNone(text: string): string {
  return text === '' ? '<none>' : text;
}

/** The kind Pod. */
export const pods: BuiltInKind = {
  resource: 'pods',
  kind: 'Pod',
  model: 'V1Pod',
  shortNames: ['po'],
  categories: ['all'],
  hasStatus: true,
  refusedSubresources: {
    log: noKubelet,
    exec: noKubelet,
    attach: noKubelet,
    portforward: noKubelet,
    proxy: noKubelet,
    eviction: noKubelet,
    ephemeralcontainers: noKubelet,
    resize: noKubelet,
    binding: 'the playground has no scheduler',
  },
  columns: [
    textColumn('Ready', readyContainers),
    textColumn('Status', statusText),
    textColumn('Restarts', () => '0'),
  ],
  trailingColumns: [
    textColumn('IP', (object) => orNone(textAt(object, 'status', 'podIP')), 1),
    textColumn('Node', (object) => orNone(textAt(object, 'spec', 'nodeName')), 1),
    textColumn(
      'Nominated Node',
      (object) => orNone(textAt(object, 'status', 'nominatedNodeName')),
      1,
    ),
    textColumn('Readiness Gates', () => '<none>', 1),
  ],
  selectableFields: [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'spec.hostNetwork',
    'status.phase',
    'status.podIP',
    'status.nominatedNodeName',
  ],
  rules: {
    tracksGeneration: true,
    returnsDeletedObject: true,
    prepareCreate: (draft) => {
      prepareSpec(draft);
      draft['status'] = { phase: 'Pending', qosClass: 'BestEffort' };
    },
    prepareUpdate: prepareSpec,
    validate,
    validateUpdate,
  },
};
