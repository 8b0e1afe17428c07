/**
 * What the main thread and a reactor tell each other: plain values that survive structured cloning, no
 * functions, no live objects. The main thread calls operations; the reactor answers each call once, and
 * sends notices on its own.
 *
 * The main thread serialises calls that change one object (see `http/object-locks.ts`); the reactor judges,
 * in one turn of its thread, what concurrent block I/O could change: open connections, referenced blocks.
 */
import type { Event } from '@varve/contract/event';
import type { Filesystem } from '@varve/contract/filesystem';
import type { Host, PutHost } from '@varve/contract/host';
import type { Info } from '@varve/contract/info';
import type { Page } from '@varve/contract/page';
import type { Pool, PutPoolDevice } from '@varve/contract/pool';
import type { ProblemKind } from '@varve/contract/problem';
import type { PutSnapshot, Snapshot } from '@varve/contract/snapshot';
import type { PatchVolume, PutVolume, Volume } from '@varve/contract/volume';

import type { OpenedDevice } from '../device/open-exclusively.ts';
import type { NbdAgreedOptions } from '../nbd/negotiation.ts';
import type { NvmeCounters } from '../nvmf/nvme-counters.ts';
import type { NodeKind, NodeName, StoreCounters } from '../store/store-api.ts';
import type { ThrottleCounts } from '../volume/io-limiter.ts';
import type { OperationStatistics, VolumeOperation } from '../volume/statistics.ts';

/** Where NBD clients may connect. Only this machine's own addresses: NBD here is without TLS. */
export type NbdListenAddress =
  | { readonly kind: 'unix'; readonly path: string }
  /** Port 0 lets the kernel choose. */
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

/** Where NVMe/TCP hosts connect: an address that they can reach, no wildcard. Port 0 lets the kernel choose. */
export interface NvmeListenAddress {
  readonly host: string;
  readonly port: number;
}

/** How a reactor does its I/O. */
export type IoEngineName = Info['reactors'][number]['ioEngine'];

/** How it is to do it: `auto` takes the fastest that the kernel permits. */
export type IoEngineSetting = 'auto' | IoEngineName;

/** What a reactor's thread is started with. */
export interface ReactorThreadOptions {
  readonly ioEngine: IoEngineSetting;
  /** Others serve parts of the pools: the main thread is told where each object is. */
  readonly isOneOfMany: boolean;
}

/** What the main thread knows of a volume or snapshot, so that it finds its reactor and can tell clients of it. */
export interface NodeRecord extends NodeName {
  readonly pool: string;
  /** RFC 9562 text. */
  readonly uuid: string;
  readonly sizeBytes: number;
  /** NQNs of the hosts that may attach it. */
  readonly hosts: readonly string[];
}

/** An open pool as several reactors serve it together; what is shared memory is the same for all of them. */
export interface SharedPool {
  readonly cellCount: number;
  readonly devices: readonly OpenedDevice[];
  /** Of `GroupOwners`. */
  readonly owners: SharedArrayBuffer;
  /** Of `RecoveryBarrier`. */
  readonly recovery: SharedArrayBuffer;
}

/** An NBD client that has chosen an export: its socket, and what was agreed on before. */
export interface AdoptedNbdClient {
  readonly fd: number;
  readonly agreed: NbdAgreedOptions;
  /** From the option on that opens the export. */
  readonly bytes: Uint8Array;
}

/** An NVMe/TCP queue whose host has named a subsystem. */
export interface AdoptedNvmeQueue {
  readonly fd: number;
  /** All that the host has sent. */
  readonly bytes: Uint8Array;
  /** Bytes of the answers to it that the host has got already. */
  readonly answeredBytes: number;
}

/** A pool as the state file knows it. */
export interface PoolIdentity {
  readonly pool: string;
  /** RFC 9562 text. */
  readonly poolUuid: string;
}

/** Which objects a list asks for, in order of id. */
export interface ListArgument {
  readonly limit: number;
  readonly after: string | undefined;
  /** All must hold; an undefined value means "has the key". */
  readonly labels: readonly { readonly key: string; readonly value: string | undefined }[];
  readonly pool: string | undefined;
  /** Snapshots only. */
  readonly volume: string | undefined;
  readonly withSpace: boolean;
}

/** A creation: whether this call made the object, and the object as it is now. */
export interface Creation<Created> {
  readonly isNew: boolean;
  readonly object: Created;
}

/** A device of an open or prepared pool. */
export type PoolDevice = Pool['devices'][number];

/** An open pool, as far as the reactor knows it; labels and closed pools are the main thread's. */
export type OpenPool = Omit<Pool, 'labels' | 'id'> & { readonly pool: string };

/** Numbers for metrics of one open pool. */
export interface PoolCounters {
  readonly pool: string;
  readonly store: StoreCounters;
}

/** Numbers of one of several reactors. */
export interface ReactorShareCounters extends Pick<ReactorCounters, 'connections' | 'cpuSeconds'> {
  readonly reactor: number;
  /** False if it has ended by itself. */
  readonly isRunning: boolean;
}

/** Numbers for metrics of one reactor, or of several together. */
export interface ReactorCounters {
  readonly pools: readonly PoolCounters[];
  /** Open connections, of all protocols. */
  readonly connections: number;
  /** Hosts that may attach a volume, over all volumes. */
  readonly hostGrants: number;
  /** What NVMe/TCP has counted. */
  readonly nvme: NvmeCounters;
  /** Connections since the start whose host did not prove itself. */
  readonly hostAuthenticationFailures: number;
  /** Requests on exports since the start. */
  readonly io: Readonly<Record<NodeKind, Readonly<Record<VolumeOperation, OperationStatistics>>>>;
  /** Requests that limits of volumes have held back since the start. */
  readonly throttle: ThrottleCounts;
  /** Processor time that this thread has used, without what sleeps in the kernel. */
  readonly cpuSeconds: { readonly user: number; readonly system: number };
  /** Of each of several; absent: there is one. */
  readonly reactors?: readonly ReactorShareCounters[];
}

/** A call that may be bound to what one host may attach. */
export interface BoundCall {
  /** NQN; undefined: not bound. */
  readonly boundHost?: string | undefined;
}

interface Operation<Argument, Reply> {
  readonly argument: Argument;
  readonly reply: Reply;
}

/** Every operation of a reactor. Failures are of the contract's kinds. */
export interface ReactorOperations {
  /** The first call: listens for NBD clients. */
  readonly start: Operation<
    {
      readonly mapMemoryBytes: number | undefined;
      /** 0: never. */
      readonly deallocateBytesPerSecond: number;
      readonly nbd: readonly NbdListenAddress[];
    },
    {
      readonly exports: Info['exports'];
      readonly ioEngine: IoEngineName;
      readonly ioEngineReason: string;
    }
  >;
  /** Listens for NVMe/TCP hosts, once the pools are open. */
  readonly listenForNvme: Operation<
    { readonly addresses: readonly NvmeListenAddress[] },
    Info['exports']
  >;
  /**
   * Opens the devices of a new pool for this process alone and proves that they may be overwritten; keeps
   * them open.
   */
  readonly preparePool: Operation<
    PoolIdentity & { readonly devices: readonly PutPoolDevice[] },
    { readonly devices: readonly PoolDevice[] }
  >;
  /** Gives the devices of a prepared pool back, unchanged; a file that the preparation made is removed. */
  readonly releasePool: Operation<PoolIdentity, undefined>;
  /** Formats the devices of a prepared pool; they stay held. It gets a cell for each reactor, if it is large enough. */
  readonly formatPool: Operation<PoolIdentity & { readonly reactorCount?: number }, undefined>;
  /**
   * Opens a formatted pool, recovery included: on the devices that are held since its format, or else on
   * those of these paths.
   */
  readonly openPool: Operation<PoolIdentity & { readonly devices: readonly string[] }, OpenPool>;
  readonly listPools: Operation<undefined, readonly OpenPool[]>;
  /** As `openPool`, for several reactors: takes hold of the devices, and opens nothing yet. */
  readonly holdPool: Operation<PoolIdentity & { readonly devices: readonly string[] }, SharedPool>;
  /** Opens some cells of a pool that a reactor holds, while others open the rest. */
  readonly openPart: Operation<
    PoolIdentity & {
      readonly shared: SharedPool;
      readonly cells: readonly number[];
      /** Reactors that open a part. */
      readonly partCount: number;
    },
    { readonly view: OpenPool; readonly nodes: readonly NodeRecord[] }
  >;
  /**
   * Gives back, without a checkpoint, what this reactor holds or serves of a pool that cannot be opened as a whole.
   * With `reason` it is known and closed; without, others serve it.
   */
  readonly dropPool: Operation<
    { readonly pool: string; readonly reason: string | undefined },
    undefined
  >;
  /** Where hosts connect, if it is not this reactor that listens. */
  readonly noteNvmeAddresses: Operation<
    { readonly addresses: readonly NvmeListenAddress[] },
    undefined
  >;
  readonly adoptNbdClient: Operation<AdoptedNbdClient, undefined>;
  readonly adoptNvmeQueue: Operation<AdoptedNvmeQueue, undefined>;

  readonly putVolume: Operation<
    { readonly id: string; readonly body: PutVolume },
    Creation<Volume>
  >;
  readonly patchVolume: Operation<{ readonly id: string; readonly body: PatchVolume }, Volume>;
  readonly getVolume: Operation<{ readonly id: string }, Volume>;
  readonly listVolumes: Operation<ListArgument, Page<Volume>>;
  readonly deleteVolume: Operation<{ readonly id: string }, undefined>;
  readonly putRevert: Operation<
    { readonly id: string; readonly revert: string; readonly snapshot: string },
    Volume
  >;
  readonly getFilesystem: Operation<{ readonly id: string } & BoundCall, Filesystem>;
  readonly putFilesystem: Operation<
    { readonly id: string; readonly body: Filesystem } & BoundCall,
    Filesystem
  >;

  readonly putHost: Operation<
    { readonly id: string; readonly hostNqn: string; readonly body: PutHost },
    Creation<Host>
  >;
  readonly getHost: Operation<{ readonly id: string; readonly hostNqn: string }, Host>;
  readonly listHosts: Operation<{ readonly id: string }, Page<Host>>;
  readonly deleteHost: Operation<{ readonly id: string; readonly hostNqn: string }, undefined>;

  readonly putSnapshot: Operation<
    { readonly id: string; readonly body: PutSnapshot },
    Creation<Snapshot>
  >;
  readonly getSnapshot: Operation<{ readonly id: string }, Snapshot>;
  readonly listSnapshots: Operation<ListArgument, Page<Snapshot>>;
  readonly deleteSnapshot: Operation<{ readonly id: string }, undefined>;
  readonly countReclaimable: Operation<{ readonly ids: readonly string[] }, number>;

  readonly readCounters: Operation<undefined, ReactorCounters>;
  /** Ends connections after their I/O, checkpoints and closes all pools. The last call. */
  readonly shutdown: Operation<undefined, undefined>;
}

/** The name of an operation. */
export type OperationName = keyof ReactorOperations;
/** What an operation is called with. */
export type ArgumentOf<Name extends OperationName> = ReactorOperations[Name]['argument'];
/** What an operation answers. */
export type ReplyOf<Name extends OperationName> = ReactorOperations[Name]['reply'];

/** Main thread to reactor. */
export interface CallMessage {
  readonly type: 'call';
  readonly callId: number;
  readonly operation: OperationName;
  readonly argument: unknown;
}

/** A failure on its way between threads. */
export interface FailureRecord {
  readonly kind: ProblemKind;
  readonly message: string;
  readonly field: string | undefined;
  readonly blocker: string | undefined;
}

/** Something that happened, without the number and time that the main thread gives it. */
export type EventRecord = Omit<Event, 'sequence' | 'at'>;

/** Reactor to main thread. */
export type ReactorMessage =
  | { readonly type: 'reply'; readonly callId: number; readonly value: unknown }
  | { readonly type: 'failure'; readonly callId: number; readonly failure: FailureRecord }
  | { readonly type: 'event'; readonly event: EventRecord }
  /** An object was made or has changed, or, without a record, is gone. */
  | { readonly type: 'node'; readonly node: NodeName; readonly record: NodeRecord | undefined }
  | {
      readonly type: 'log';
      readonly level: 'info' | 'warn' | 'error';
      readonly message: string;
      readonly fields: Readonly<Record<string, unknown>>;
    };
