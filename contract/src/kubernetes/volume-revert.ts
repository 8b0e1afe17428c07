/** varve.dev/v1alpha1 VolumeRevert: puts the volume of a claim back to a snapshot, in place and once. */
import { z } from 'zod';
import type { CustomResource } from './custom-resource.ts';
import { conditionsSchema, dateTimeSchema, int64Schema, ruled, immutable } from './schema-parts.ts';

const objectNameSchema = z.string().min(1).max(253);

/** What a user asks for. */
const volumeRevertSpecSchema = z
  .object({
    persistentVolumeClaimName: objectNameSchema.meta({
      description: 'The claim whose volume is put back, of the same namespace.',
    }),
    volumeSnapshotName: objectNameSchema.meta({
      description: 'The snapshot of that volume that it is put back to, of the same namespace.',
    }),
    safetySnapshot: z
      .boolean()
      .optional()
      .meta({
        description:
          'Whether to take a VolumeSnapshot of the volume first, which stays when this object goes. ' +
          'True unless it says false.',
      }),
  })
  .meta(ruled('What to put back, and to what. It cannot be changed.', immutable('spec')));

/** What the operator did. */
const volumeRevertStatusSchema = z
  .object({
    observedGeneration: int64Schema.optional(),
    conditions: conditionsSchema.optional(),
    safetySnapshotName: z.string().optional().meta({
      description: 'The VolumeSnapshot that holds what was there before.',
    }),
    completionTime: dateTimeSchema
      .optional()
      .meta({ description: 'When the volume was put back.' }),
  })
  .meta({ description: 'How far it got.' });

/** What a user asks for. */
export type VolumeRevertSpec = z.output<typeof volumeRevertSpecSchema>;

/** What the operator did. */
export type VolumeRevertStatus = z.output<typeof volumeRevertStatusSchema>;

const revertedCondition = '.status.conditions[?(@.type=="Reverted")]';

/** varve.dev/v1alpha1 VolumeRevert. */
export const volumeRevertResource: CustomResource = {
  group: 'varve.dev',
  version: 'v1alpha1',
  scope: 'Namespaced',
  names: {
    kind: 'VolumeRevert',
    plural: 'volumereverts',
    singular: 'volumerevert',
    shortNames: ['vrev'],
    categories: ['varve'],
  },
  description: 'Puts the volume of a claim back to a snapshot of it, in place and once.',
  shape: {
    spec: volumeRevertSpecSchema,
    status: volumeRevertStatusSchema.optional(),
  },
  hasStatus: true,
  columns: [
    { name: 'Claim', type: 'string', jsonPath: '.spec.persistentVolumeClaimName' },
    { name: 'Snapshot', type: 'string', jsonPath: '.spec.volumeSnapshotName' },
    { name: 'Reverted', type: 'string', jsonPath: `${revertedCondition}.status` },
    { name: 'Reason', type: 'string', jsonPath: `${revertedCondition}.reason` },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
    { name: 'Safety', type: 'string', jsonPath: '.status.safetySnapshotName', priority: 1 },
    { name: 'Message', type: 'string', jsonPath: `${revertedCondition}.message`, priority: 1 },
  ],
  revision: 1,
};
