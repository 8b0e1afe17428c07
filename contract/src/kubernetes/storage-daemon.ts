/** varve.dev/v1alpha1 StorageDaemon: a storage daemon that the operator may use, and how it is. */
import { z } from 'zod';
import type { CustomResource } from './custom-resource.ts';
import { conditionsSchema, dateTimeSchema, int64Schema, quantitySchema } from './schema-parts.ts';

/** What an administrator says about a daemon. */
export const storageDaemonSpecSchema = z
  .object({
    endpoint: z
      .string()
      .max(1024)
      .regex(
        /^(unix:\/\/\/.+|https?:\/\/[^/]+)$/,
        'must be unix:///path/of/socket, http://127.0.0.1:port or https://host:port',
      )
      .meta({
        description:
          'Where the daemon’s REST API is: unix:///path/of/socket, http://127.0.0.1:port (loopback only) ' +
          'or https://host:port.',
      }),
    credentials: z
      .object({
        secretRef: z
          .object({
            name: z.string().min(1).max(253),
            namespace: z.string().min(1).max(63),
          })
          .meta({
            description:
              'A Secret with the keys token (bearer token) and ca.crt (PEM, checks the daemon’s ' +
              'certificate); both are optional.',
          }),
      })
      .optional()
      .meta({ description: 'How the operator shows who it is; nothing on a unix socket.' }),
    cordoned: z
      .boolean()
      .optional()
      .meta({
        description:
          'Whether to place no new volumes here. What is here goes on working, restores and clones ' +
          'of it included.',
      }),
  })
  .meta({ description: 'How to reach the daemon and what to use it for.' });

const poolStatusSchema = z.object({
  name: z.string(),
  ready: z.boolean().meta({ description: 'Whether volumes can be placed in it.' }),
  message: z.string().optional().meta({ description: 'Why it is not ready.' }),
  sizeBytes: int64Schema,
  allocatedBytes: int64Schema,
  freeBytes: int64Schema,
  volumes: z.int().meta({ format: 'int64' }),
  snapshots: z.int().meta({ format: 'int64' }),
});

/** What the operator found. */
export const storageDaemonStatusSchema = z
  .object({
    observedGeneration: int64Schema.optional(),
    conditions: conditionsSchema.optional(),
    daemonId: z
      .string()
      .optional()
      .meta({ description: 'Drawn by the daemon at its first start; another one has another.' }),
    version: z.string().optional().meta({ description: 'The version of the daemon’s software.' }),
    lastContactTime: dateTimeSchema
      .optional()
      .meta({ description: 'When the daemon last answered, to within a few minutes.' }),
    pools: z
      .array(poolStatusSchema)
      .optional()
      .meta({
        description: 'The pools, with their space to within about a hundredth.',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['name'],
      }),
    size: quantitySchema.optional().meta({ description: 'Space of all pools together.' }),
    free: quantitySchema
      .optional()
      .meta({ description: 'What all pools together can still take, without their reserves.' }),
    exports: z.array(z.string()).optional().meta({
      description: 'Where volumes can be reached; append volume/<id> or snapshot/<id>.',
      'x-kubernetes-list-type': 'atomic',
    }),
  })
  .meta({ description: 'How the daemon is.' });

/** What an administrator says about a daemon. */
export type StorageDaemonSpec = z.output<typeof storageDaemonSpecSchema>;

/** What the operator found. */
export type StorageDaemonStatus = z.output<typeof storageDaemonStatusSchema>;

/** One pool of a daemon. */
export type StorageDaemonPool = z.output<typeof poolStatusSchema>;

const readyCondition = '.status.conditions[?(@.type=="Ready")]';

/** varve.dev/v1alpha1 StorageDaemon. */
export const storageDaemonResource: CustomResource = {
  group: 'varve.dev',
  version: 'v1alpha1',
  scope: 'Cluster',
  names: {
    kind: 'StorageDaemon',
    plural: 'storagedaemons',
    singular: 'storagedaemon',
    shortNames: ['sd'],
    categories: ['varve'],
  },
  description: 'A storage daemon: the place where volumes and snapshots are.',
  shape: {
    spec: storageDaemonSpecSchema,
    status: storageDaemonStatusSchema.optional(),
  },
  hasStatus: true,
  columns: [
    { name: 'Ready', type: 'string', jsonPath: `${readyCondition}.status` },
    { name: 'Cordoned', type: 'boolean', jsonPath: '.spec.cordoned' },
    { name: 'Size', type: 'string', jsonPath: '.status.size' },
    { name: 'Free', type: 'string', jsonPath: '.status.free' },
    { name: 'Version', type: 'string', jsonPath: '.status.version' },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
    { name: 'Endpoint', type: 'string', jsonPath: '.spec.endpoint', priority: 1 },
    { name: 'Reason', type: 'string', jsonPath: `${readyCondition}.reason`, priority: 1 },
    { name: 'Message', type: 'string', jsonPath: `${readyCondition}.message`, priority: 1 },
  ],
  revision: 1,
};
