/**
 * What the NVMe/TCP core asks of the world: volumes, who may attach them, and the connections' owner. Nothing here
 * knows a socket, a store or a clock.
 */
import type { Reply } from '../nbd/output-queue.ts';
import type { DhchapGroupId, DhchapHashId } from './auth/dhchap-parameters.ts';
import type { DhchapSecret } from './auth/dhchap-secret.ts';

/** Why a request failed; `message` is for people. */
export interface NvmeFailure {
  readonly kind: 'out-of-range' | 'read-only' | 'closed' | 'no-space' | 'io';
  readonly message: string;
}

/** Called exactly once per request and never before the call returns; null means that all of it was done. */
export type NvmeCompletion = (failure: NvmeFailure | null) => void;

/** The bytes behind a namespace. Buffers belong to the callee until completion. */
export interface NvmeVolume {
  /** It may grow. */
  readonly sizeBytes: number;
  readonly isReadOnly: boolean;
  read(offsetBytes: number, target: Uint8Array, done: NvmeCompletion): void;
  write(offsetBytes: number, source: Uint8Array, fua: boolean, done: NvmeCompletion): void;
  writeZeroes(
    offsetBytes: number,
    lengthBytes: number,
    options: { readonly fua: boolean; readonly keepAllocated: boolean },
    done: NvmeCompletion,
  ): void;
  discard(offsetBytes: number, lengthBytes: number, fua: boolean, done: NvmeCompletion): void;
  flush(done: NvmeCompletion): void;
  /** Drops those of the requests with these completions that have not started yet; they fail, later. */
  dropWaiting(completions: ReadonlySet<NvmeCompletion>): void;
}

/** Who connects. */
export interface NvmeHost {
  readonly nqn: string;
  /** HOSTID as 32 hexadecimal digits. */
  readonly id: string;
}

/** A controller's hold on a volume. */
export interface NvmeAttachment {
  /** The namespace's UUID and NGUID; it never changes while the volume lives. */
  readonly uuid: Uint8Array;
  readonly volume: NvmeVolume;
  /** What the host must prove on each queue; undefined lets its name be enough. */
  readonly secrets: NvmeSecrets | undefined;
  /** Gives the volume back, once nothing is under way. */
  close(): void;
}

/** Secrets of DH-HMAC-CHAP. */
export interface NvmeSecrets {
  readonly host: DhchapSecret;
  /** With which the controller proves itself to a host that asks. */
  readonly controller: DhchapSecret | undefined;
  /** What may be chosen of what a host offers, the best first; undefined: all that we know. */
  readonly hashes?: readonly DhchapHashId[] | undefined;
  readonly groups?: readonly DhchapGroupId[] | undefined;
}

/**
 * Why a volume is not to be had: there is none of that name; this host may not have it; or not now (starting,
 * stopping, taken for a moment), which a host tries again.
 */
export type NvmeRefusal = 'unknown' | 'forbidden' | 'busy';

/** The subsystems: one per volume. */
export interface NvmeSubsystems {
  /**
   * Opens the volume of a subsystem for a host.
   *
   * @param evicted Called when the volume is taken away underneath: its controllers must end.
   */
  attach(
    subsystemNqn: string,
    host: NvmeHost,
    evicted: (reason: string) => void,
  ): NvmeAttachment | NvmeRefusal;
  /** True of a subsystem that is to be had, and not here. Absent: none is elsewhere. */
  isElsewhere?(subsystemNqn: string): boolean;
  /** NQNs of the subsystems that a host may attach, in a stable order. */
  visibleTo(hostNqn: string): readonly string[];
}

/** Where a host reached us: what discovery tells it to connect to. */
export interface NvmeTransportAddress {
  readonly family: 4 | 6;
  readonly address: string;
  readonly port: number;
}

/**
 * What a queue asks of the owner of its connection. None of these may call back into the queue before it
 * returns.
 */
export interface NvmeQueueActions {
  /** Sends bytes or a reply, in order; they are the owner's from now on. */
  send(item: Buffer | Reply): void;
  /** Whether more input is wanted; input that comes all the same is kept. */
  setReading(isReading: boolean): void;
  /**
   * Nothing more will be sent; what was sent should still arrive. With a reason it is the host's fault, or its
   * controller's end, and worth a line in the log.
   */
  disconnect(reason: string | undefined): void;
  /**
   * The host's Connect names a subsystem that is elsewhere: whoever has it goes on with the connection. The queue is
   * over, and has answered what came before. Absent where none is elsewhere.
   */
  elsewhere?(subsystemNqn: string): void;
  /** The last call: nothing is under way any more. */
  ended(): void;
}
