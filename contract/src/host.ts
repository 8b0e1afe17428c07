/**
 * Hosts that may attach a volume over NVMe/TCP. A volume has one writer: while a host holds a grant, no other gets
 * one. Keys go in and never come out: an answer says that there is one, and how it is transformed.
 */
import { z } from 'zod';
import { pageSchema } from './page.ts';

/** NVMe Base 2.0, section 4.5. */
export const hostNqnLengthMax = 223;

const uuidPrefix = 'nqn.2014-08.org.nvmexpress:uuid:';
const uuidPattern = /^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/;

/**
 * The name of a host: `nqn.<year>-<month>.<reversed domain>[:<anything>]`. Names are compared byte by byte. Printable
 * ASCII without quotes and backslashes: nobody uses more, and such names look everywhere as they are.
 */
export const hostNqnSchema = z
  .string()
  .max(hostNqnLengthMax)
  .regex(
    /^nqn\.[0-9]{4}-(0[1-9]|1[0-2])\.[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[!#-[\]-~]+)?$/,
    'must be an NQN like nqn.2014-08.org.nvmexpress:uuid:<UUID> or nqn.2026-11.com.example:host-1',
  )
  .refine((nqn) => !nqn.startsWith(uuidPrefix) || uuidPattern.test(nqn.slice(uuidPrefix.length)), {
    message: `must have a UUID after ${uuidPrefix}`,
  })
  .meta({ description: 'NQN of a host, at most 223 characters.' });

/** A key as `nvme gen-dhchap-key` prints it. Its checksum is checked where it is used. */
const dhchapKeySchema = z
  .string()
  .max(120)
  .regex(
    /^DHHC-1:0[0-3]:[A-Za-z0-9+/]+={0,2}:$/,
    'must be a key like DHHC-1:01:<base64>:, as "nvme gen-dhchap-key" prints it',
  );

/** Hash functions of DH-HMAC-CHAP. */
export const hostHashSchema = z.enum(['SHA-256', 'SHA-384', 'SHA-512']);

/** Diffie-Hellman groups of DH-HMAC-CHAP; `null` is none. */
export const hostDhGroupSchema = z.enum([
  'null',
  'ffdhe2048',
  'ffdhe3072',
  'ffdhe4096',
  'ffdhe6144',
  'ffdhe8192',
]);

/** What only goes with a key: without one there is nothing to prove. */
const fieldsOfHostKey = ['controllerKey', 'hash', 'dhGroup'] as const;

/** Grants access: all of it is given each time. Without keys the host's name is enough. */
export const putHostSchema = z
  .strictObject({
    hostKey: dhchapKeySchema
      .optional()
      .meta({ description: 'What the host must prove to know (DH-HMAC-CHAP).' }),
    controllerKey: dhchapKeySchema
      .optional()
      .meta({ description: 'By which the daemon proves itself to a host that asks for it.' }),
    hash: hostHashSchema.optional().meta({
      description: 'The hash function that must be used; by default the strongest that is offered.',
    }),
    dhGroup: hostDhGroupSchema.optional().meta({
      description:
        'The group that must be used; by default the smallest that is offered, and none only if none is.',
    }),
  })
  .superRefine((body, context) => {
    const field = fieldsOfHostKey.find((each) => body[each] !== undefined);
    if (field === undefined || body.hostKey !== undefined) return;
    const message = 'must not be given without hostKey: there is nothing to prove';
    context.addIssue({ code: 'custom', path: [field], message });
  })
  .meta({ id: 'PutHost' });

/** Grants access. */
export type PutHost = z.output<typeof putHostSchema>;

const keyViewSchema = z
  .object({
    /** How the key is transformed before use: the digits after `DHHC-1:`. */
    transformation: z.enum(['none', 'SHA-256', 'SHA-384', 'SHA-512']),
  })
  .meta({ id: 'HostKey' });

/** A grant. */
export const hostSchema = z
  .object({
    hostNqn: hostNqnSchema,
    /** There if the host must prove itself. */
    hostKey: keyViewSchema.optional(),
    /** There if the daemon can prove itself. */
    controllerKey: keyViewSchema.optional(),
    hash: hostHashSchema.optional(),
    dhGroup: hostDhGroupSchema.optional(),
    /** The subsystem to connect to. */
    subsystemNqn: z.string(),
  })
  .meta({ id: 'Host' });

/** A grant. */
export type Host = z.output<typeof hostSchema>;

/** The transformation of a key, as an answer shows it. */
export type HostKeyTransformation = z.output<typeof keyViewSchema>['transformation'];

/** The grants of a volume: as long as volumes have one writer, one at most. */
export const hostPageSchema = pageSchema(hostSchema).meta({ id: 'HostPage' });

/** The name of a volume's subsystem begins so; its UUID follows. */
export const volumeNqnPrefix = 'nqn.2026-11.dev.varve:volume:';
