/**
 * The snapshot API, snapshot.storage.k8s.io/v1: the fields and rules of the upstream definitions, and
 * `status.conditions` on top. The operator installs these only on a cluster that has none; it works with
 * the upstream ones as they are.
 */
import { z } from 'zod';
import type { CustomResource } from './custom-resource.ts';
import {
  conditionsSchema,
  dateTimeSchema,
  exactlyOneOf,
  immutable,
  int64Schema,
  quantitySchema,
  requiredOnceSet,
  ruled,
} from './schema-parts.ts';

const group = 'snapshot.storage.k8s.io';
/**
 * The API server refuses definitions in *.k8s.io without this annotation. It asks who approved the API;
 * upstream's is approved, our addition is not.
 */
const annotations = {
  'api-approved.kubernetes.io':
    'unapproved, superset of the approved v1 definitions: adds status.conditions',
};

const errorSchema = z
  .object({
    time: dateTimeSchema.optional().meta({ description: 'When it was seen.' }),
    message: z.string().optional().meta({ description: 'What failed. Never holds a secret.' }),
  })
  .meta({ description: 'The last error; gone after a success.' });

const deletionPolicySchema = z.enum(['Delete', 'Retain']);

const snapshotSpecSchema = z
  .object({
    source: z
      .object({
        persistentVolumeClaimName: z
          .string()
          .optional()
          .meta(
            ruled(
              'The claim, in the same namespace, whose volume is to be snapshotted.',
              immutable('persistentVolumeClaimName'),
            ),
          ),
        volumeSnapshotContentName: z
          .string()
          .optional()
          .meta(
            ruled(
              'An existing VolumeSnapshotContent that this snapshot is to stand for.',
              immutable('volumeSnapshotContentName'),
            ),
          ),
      })
      .meta(
        ruled(
          'Where the snapshot comes from.',
          requiredOnceSet('persistentVolumeClaimName'),
          requiredOnceSet('volumeSnapshotContentName'),
          exactlyOneOf('volumeSnapshotContentName', 'persistentVolumeClaimName'),
        ),
      ),
    volumeSnapshotClassName: z
      .string()
      .optional()
      .meta(
        ruled('The class; the default class of the volume’s driver when absent.', {
          rule: 'size(self) > 0',
          message: 'volumeSnapshotClassName must not be the empty string when set',
        }),
      ),
  })
  .meta({ description: 'What is asked for.' });

const snapshotStatusSchema = z
  .object({
    boundVolumeSnapshotContentName: z.string().optional().meta({
      description:
        'The content that holds the data. Trust it only if the content points back here.',
    }),
    creationTime: dateTimeSchema
      .optional()
      .meta({ description: 'The instant whose data the snapshot holds.' }),
    readyToUse: z
      .boolean()
      .optional()
      .meta({ description: 'Whether volumes can be made from it.' }),
    restoreSize: quantitySchema
      .optional()
      .meta({ description: 'The smallest size of a volume made from it.' }),
    error: errorSchema.optional(),
    volumeGroupSnapshotName: z
      .string()
      .optional()
      .meta({ description: 'The group snapshot that this one is a part of.' }),
    conditions: conditionsSchema.optional(),
  })
  .meta({ description: 'What is there.' });

/** snapshot.storage.k8s.io/v1 VolumeSnapshot. */
export const volumeSnapshotResource: CustomResource = {
  group,
  version: 'v1',
  scope: 'Namespaced',
  names: {
    kind: 'VolumeSnapshot',
    plural: 'volumesnapshots',
    singular: 'volumesnapshot',
    shortNames: ['vs'],
  },
  description: 'A request for a point-in-time snapshot of a volume, or for an existing one.',
  shape: { spec: snapshotSpecSchema, status: snapshotStatusSchema.optional() },
  hasStatus: true,
  columns: [
    { name: 'ReadyToUse', type: 'boolean', jsonPath: '.status.readyToUse' },
    { name: 'SourcePVC', type: 'string', jsonPath: '.spec.source.persistentVolumeClaimName' },
    {
      name: 'SourceSnapshotContent',
      type: 'string',
      jsonPath: '.spec.source.volumeSnapshotContentName',
    },
    { name: 'RestoreSize', type: 'string', jsonPath: '.status.restoreSize' },
    { name: 'SnapshotClass', type: 'string', jsonPath: '.spec.volumeSnapshotClassName' },
    {
      name: 'SnapshotContent',
      type: 'string',
      jsonPath: '.status.boundVolumeSnapshotContentName',
    },
    { name: 'CreationTime', type: 'date', jsonPath: '.status.creationTime' },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
  ],
  revision: 1,
  annotations,
};

const objectReferenceSchema = z.object({
  apiVersion: z.string().optional(),
  fieldPath: z.string().optional(),
  kind: z.string().optional(),
  name: z.string().optional(),
  namespace: z.string().optional(),
  resourceVersion: z.string().optional(),
  uid: z.string().optional(),
});

const contentSpecSchema = z
  .object({
    volumeSnapshotRef: objectReferenceSchema.meta({
      ...ruled(
        'The snapshot that this content belongs to; without uid while none has claimed it.',
        {
          // `namespace` is a word of CEL itself.
          rule: 'has(self.name) && has(self.__namespace__)',
          message:
            'both spec.volumeSnapshotRef.name and spec.volumeSnapshotRef.namespace must be set',
        },
      ),
      'x-kubernetes-map-type': 'atomic',
    }),
    deletionPolicy: deletionPolicySchema.meta({
      description: 'Whether the data goes with the snapshot.',
    }),
    driver: z.string().meta({ description: 'The CSI driver that holds the data.' }),
    volumeSnapshotClassName: z
      .string()
      .optional()
      .meta({ description: 'The class that the content was made with; it may be gone.' }),
    source: z
      .object({
        volumeHandle: z
          .string()
          .optional()
          .meta(ruled('The volume to be snapshotted.', immutable('volumeHandle'))),
        snapshotHandle: z
          .string()
          .optional()
          .meta(ruled('An existing snapshot of the storage.', immutable('snapshotHandle'))),
      })
      .meta(
        ruled(
          'Where the data comes from.',
          requiredOnceSet('volumeHandle'),
          requiredOnceSet('snapshotHandle'),
          exactlyOneOf('volumeHandle', 'snapshotHandle'),
        ),
      ),
    sourceVolumeMode: z
      .string()
      .optional()
      .meta(
        ruled(
          'The mode of the volume that was snapshotted: Filesystem or Block.',
          immutable('sourceVolumeMode'),
        ),
      ),
  })
  .meta(ruled('What the content is.', requiredOnceSet('sourceVolumeMode')));

const contentStatusSchema = z
  .object({
    snapshotHandle: z
      .string()
      .optional()
      .meta({ description: 'The storage’s id of the snapshot.' }),
    creationTime: int64Schema
      .optional()
      .meta({ description: 'The instant whose data it holds, in nanoseconds since 1970.' }),
    restoreSize: z.int().min(0).optional().meta({
      description: 'The smallest size of a volume made from it, in bytes.',
      format: 'int64',
    }),
    readyToUse: z
      .boolean()
      .optional()
      .meta({ description: 'Whether volumes can be made from it.' }),
    error: errorSchema.optional(),
    volumeGroupSnapshotHandle: z
      .string()
      .optional()
      .meta({ description: 'The storage’s id of the group snapshot that this one is a part of.' }),
    conditions: conditionsSchema.optional(),
  })
  .meta({ description: 'What the storage has.' });

/** snapshot.storage.k8s.io/v1 VolumeSnapshotContent. */
export const volumeSnapshotContentResource: CustomResource = {
  group,
  version: 'v1',
  scope: 'Cluster',
  names: {
    kind: 'VolumeSnapshotContent',
    plural: 'volumesnapshotcontents',
    singular: 'volumesnapshotcontent',
    shortNames: ['vsc', 'vscs'],
  },
  description: 'A snapshot that is, or is to be, in a storage system.',
  shape: { spec: contentSpecSchema, status: contentStatusSchema.optional() },
  hasStatus: true,
  columns: [
    { name: 'ReadyToUse', type: 'boolean', jsonPath: '.status.readyToUse' },
    { name: 'RestoreSize', type: 'integer', jsonPath: '.status.restoreSize' },
    { name: 'DeletionPolicy', type: 'string', jsonPath: '.spec.deletionPolicy' },
    { name: 'Driver', type: 'string', jsonPath: '.spec.driver' },
    { name: 'VolumeSnapshotClass', type: 'string', jsonPath: '.spec.volumeSnapshotClassName' },
    { name: 'VolumeSnapshot', type: 'string', jsonPath: '.spec.volumeSnapshotRef.name' },
    {
      name: 'VolumeSnapshotNamespace',
      type: 'string',
      jsonPath: '.spec.volumeSnapshotRef.namespace',
    },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
  ],
  revision: 1,
  annotations,
};

/** snapshot.storage.k8s.io/v1 VolumeSnapshotClass. */
export const volumeSnapshotClassResource: CustomResource = {
  group,
  version: 'v1',
  scope: 'Cluster',
  names: {
    kind: 'VolumeSnapshotClass',
    plural: 'volumesnapshotclasses',
    singular: 'volumesnapshotclass',
    shortNames: ['vsclass', 'vsclasses'],
  },
  description: 'How snapshots of a driver are made.',
  shape: {
    driver: z.string().meta({ description: 'The CSI driver that the class is for.' }),
    deletionPolicy: deletionPolicySchema.meta({
      description: 'What new contents get: whether the data goes with the snapshot.',
    }),
    parameters: z
      .record(z.string(), z.string())
      .optional()
      .meta({ description: 'Parameters of the driver.' }),
  },
  hasStatus: false,
  columns: [
    { name: 'Driver', type: 'string', jsonPath: '.driver' },
    { name: 'DeletionPolicy', type: 'string', jsonPath: '.deletionPolicy' },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
  ],
  revision: 1,
  annotations,
};
