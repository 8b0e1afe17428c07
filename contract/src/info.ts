/** Who a daemon is and what it can do. */
import { z } from 'zod';
import { timestampSchema } from './identifier.ts';

/** Identity and abilities of a daemon. */
export const infoSchema = z
  .object({
    /** Drawn once, kept in the state folder. */
    daemonId: z.guid(),
    /** The name it was started with; the machine's host name by default. */
    name: z.string(),
    version: z.string(),
    apiVersions: z.array(z.string()),
    features: z.array(z.string()),
    startedAt: timestampSchema,
    reactors: z.array(
      z.object({
        index: z.int().nonnegative(),
        /** `io_uring` is the fast one; `fs` takes over where the kernel does not permit it. */
        ioEngine: z.enum(['io_uring', 'fs']),
        /** Why it is this one. */
        ioEngineReason: z.string().optional(),
        pools: z.array(z.string()),
      }),
    ),
    /** Where volumes can be reached. */
    exports: z.array(
      z.object({
        protocol: z.enum(['nbd', 'nvme-tcp']),
        /**
         * `nbd+unix:///?socket=/run/varve/nbd.sock`, `nbd://127.0.0.1:10809`: append the export name as path.
         * `nvme+tcp://192.0.2.1:4420`: volumes say which subsystem is theirs.
         */
        uri: z.string(),
      }),
    ),
  })
  .meta({ id: 'Info' });

/** Identity and abilities of a daemon. */
export type Info = z.output<typeof infoSchema>;

/** The answer of a health check that passed; one that failed is a problem. */
export const healthSchema = z.object({ status: z.literal('ok') }).meta({ id: 'Health' });
