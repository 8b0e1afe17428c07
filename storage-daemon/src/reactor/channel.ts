/**
 * The two ends of the channel between the main thread and a reactor: calls with answers, and notices.
 *
 * An expected failure (a ProblemError or StoreError, known by its kind) travels as a record and is thrown
 * at the caller as a ProblemError. Anything else that an operation throws is our own bug: it is thrown out
 * of the reactor's thread, which ends the process; a restart replays the journal.
 */
import {
  isProblemError,
  ProblemError,
  problemTable,
  type ProblemKind,
} from '@varve/contract/problem';

import type { NodeName } from '../store/store-api.ts';
import type {
  ArgumentOf,
  CallMessage,
  EventRecord,
  FailureRecord,
  NodeRecord,
  OperationName,
  ReactorMessage,
  ReplyOf,
} from './messages.ts';

/**
 * Calls without an answer at one time. Control calls are few and short; a queue beyond this would only hide
 * that the reactor is behind, so the caller is told to come back.
 */
export const channelCallsMax = 512;

/** One end of a message channel: a Worker, its parent port, or a MessagePort. */
export interface ChannelPort {
  postMessage(message: unknown): void;
  on(event: 'message', listener: (message: unknown) => void): unknown;
}

/** What a reactor says without being asked. */
export interface ReactorNotices {
  readonly event: (event: EventRecord) => void;
  /** Absent: nobody wants to know. */
  readonly node?: (node: NodeName, record: NodeRecord | undefined) => void;
  readonly log: (
    level: 'info' | 'warn' | 'error',
    message: string,
    fields: Readonly<Record<string, unknown>>,
  ) => void;
}

/** The calls that a reactor answers. */
export type OperationTable = {
  readonly [Name in OperationName]: (argument: ArgumentOf<Name>) => Promise<ReplyOf<Name>>;
};

interface PendingCall {
  resolve(value: unknown): void;
  reject(error: ProblemError): void;
}

/** Where calls of the main thread go. */
export interface ReactorCalls {
  /** Calls without an answer now. */
  readonly pendingCount: number;
  /** Calls an operation. @throws ProblemError of the contract's kinds. */
  call<Name extends OperationName>(
    operation: Name,
    argument: ArgumentOf<Name>,
  ): Promise<ReplyOf<Name>>;
}

/** The main thread's end. */
export class ReactorChannel implements ReactorCalls {
  readonly #port: ChannelPort;
  readonly #pending = new Map<number, PendingCall>();
  #lastCallId = 0;
  #endReason: string | undefined;

  constructor(port: ChannelPort, notices: ReactorNotices) {
    this.#port = port;
    port.on('message', (message) => this.#receive(message as ReactorMessage, notices));
  }

  /** Calls without an answer now. */
  get pendingCount(): number {
    return this.#pending.size;
  }

  /** Calls an operation. @throws ProblemError of the contract's kinds. */
  call<Name extends OperationName>(
    operation: Name,
    argument: ArgumentOf<Name>,
  ): Promise<ReplyOf<Name>> {
    return new Promise((resolve, reject) => {
      if (this.#endReason !== undefined) {
        reject(new ProblemError('unavailable', this.#endReason));
      } else if (this.#pending.size >= channelCallsMax) {
        reject(
          new ProblemError(
            'too-many-requests',
            `Calling the reactor failed: ${channelCallsMax} calls are waiting already`,
            { retryAfterSeconds: 1 },
          ),
        );
      } else {
        const callId = ++this.#lastCallId;
        this.#pending.set(callId, { resolve, reject });
        const message: CallMessage = { type: 'call', callId, operation, argument };
        this.#port.postMessage(message);
      }
    });
  }

  /** The reactor is gone: fails all calls under way and all later ones. */
  end(reason: string): void {
    this.#endReason ??= reason;
    for (const pending of this.#pending.values()) {
      pending.reject(new ProblemError('unavailable', reason));
    }
    this.#pending.clear();
  }

  #receive(message: ReactorMessage, notices: ReactorNotices): void {
    switch (message.type) {
      case 'event':
        notices.event(message.event);
        return;
      case 'node':
        notices.node?.(message.node, message.record);
        return;
      case 'log':
        notices.log(message.level, message.message, message.fields);
        return;
      case 'reply':
        this.#take(message.callId)?.resolve(message.value);
        return;
      case 'failure': {
        const { kind, message: text, field, blocker } = message.failure;
        this.#take(message.callId)?.reject(new ProblemError(kind, text, { field, blocker }));
      }
    }
  }

  #take(callId: number): PendingCall | undefined {
    const pending = this.#pending.get(callId);
    this.#pending.delete(callId);
    return pending;
  }
}

/**
 * Answers calls on the reactor's end of the channel. `crash` must end the thread; it gets what was no
 * expected failure.
 */
export function serveChannel(
  port: ChannelPort,
  operations: OperationTable,
  crash: (error: unknown) => void,
): void {
  const send = (message: ReactorMessage): void => port.postMessage(message);
  port.on('message', (message) => {
    const { callId, operation, argument } = message as CallMessage;
    const run = operations[operation] as (argument: unknown) => Promise<unknown>;
    run(argument).then(
      (value) => send({ type: 'reply', callId, value }),
      (error: unknown) => {
        const failure = toFailureRecord(error);
        if (failure === undefined) crash(error);
        else send({ type: 'failure', callId, failure });
      },
    );
  });
}

/** The reactor's way to say something without being asked. */
export function noticesTo(port: ChannelPort): ReactorNotices {
  const send = (message: ReactorMessage): void => port.postMessage(message);
  return {
    event: (event) => send({ type: 'event', event }),
    node: (node, record) => send({ type: 'node', node, record }),
    log: (level, message, fields) => send({ type: 'log', level, message, fields }),
  };
}

/**
 * An expected failure as a record; undefined for anything else. The kinds of the store's errors are kinds of
 * the contract.
 */
function toFailureRecord(error: unknown): FailureRecord | undefined {
  if (isProblemError(error)) {
    const { kind, message, field, blocker } = error;
    return { kind, message, field, blocker };
  }
  if (typeof error !== 'object' || error === null) return undefined;
  const { name, kind, message } = error as { name?: unknown; kind?: unknown; message?: unknown };
  if (name !== 'StoreError' || !Object.hasOwn(problemTable, String(kind))) return undefined;
  return {
    kind: kind as ProblemKind,
    message: String(message),
    field: undefined,
    blocker: undefined,
  };
}
