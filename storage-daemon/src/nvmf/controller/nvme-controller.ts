/**
 * One controller: what a host's admin queue and I/O queues share (NVMe Base 2.0, section 3.1). It lives from the
 * Connect of its admin queue until that queue's connection is gone and no command is under way on any queue.
 *
 *   live --(admin queue gone, keep-alive expired, fenced, evicted)--> ending --(nothing under way)--> ended
 *
 * Ending closes all connections; commands that already run complete into the void. Only then is the volume given
 * back and the controller forgotten: whoever waits for `ended` knows that nothing of this host lands any more.
 */
import { assert } from '@varve/common/assert';

import type { NvmeAttachment, NvmeHost, NvmeTransportAddress } from '../ports.ts';
import type { CommandSlot } from '../queue/command-slot.ts';
import { AsyncEvent, AsyncEvents } from './async-events.ts';
import type { ControllerIdentity } from './identify.ts';
import { ControllerProperties } from './properties.ts';

/** A queue of a controller, as the controller sees it. */
export interface ControllerQueue {
  /** Completes an asynchronous event request that waited. */
  completeEvent(request: CommandSlot, result: number): void;
  /** Forgets requests that wait, without an answer. */
  dropParked(requests: readonly CommandSlot[]): void;
  /** Ends the connection; `ended` follows when nothing is under way on it. */
  close(reason: string): void;
  /** Calls back once when each command that runs now has ended. */
  whenRunningEnd(settled: () => void): void;
}

/** What a controller is made of. */
export interface NvmeControllerOptions {
  readonly identity: ControllerIdentity;
  readonly host: NvmeHost;
  /** Absent: a discovery controller. */
  readonly attachment: NvmeAttachment | undefined;
  readonly localAddress: NvmeTransportAddress;
  readonly keepAliveMs: number;
}

/** What a controller needs. */
export interface NvmeControllerDependencies {
  /** Subsystems that the host may see, for a discovery controller. */
  readonly visibleSubsystems: () => readonly string[];
  /** Called once, when nothing is left of it. */
  readonly ended: (controller: NvmeController) => void;
}

/** A controller. */
export class NvmeController {
  readonly identity: ControllerIdentity;
  readonly host: NvmeHost;
  readonly attachment: NvmeAttachment | undefined;
  readonly localAddress: NvmeTransportAddress;
  readonly properties = new ControllerProperties();
  readonly events = new AsyncEvents<CommandSlot>((request, result) =>
    this.#adminQueue?.completeEvent(request, result),
  );
  /** Granted by Set Features; queue ids up to it may connect. */
  ioQueuesGranted = 0;
  /** 0 is no timeout. */
  keepAliveMs: number;
  /** The namespace has changed since the host read which have. */
  hasNamespaceChanged = false;
  /** Rises with everything that comes from the host, on any queue: that is what keeps it alive. */
  activityCount = 0;
  readonly #dependencies: NvmeControllerDependencies;
  #adminQueue: ControllerQueue | undefined;
  readonly #ioQueues = new Map<number, ControllerQueue>();
  /** Queues whose connection is closed and that still have commands under way. */
  readonly #draining = new Set<ControllerQueue>();
  #isEnding = false;
  #hasEnded = false;
  #whenIoDrained: (() => void) | undefined;

  constructor(options: NvmeControllerOptions, dependencies: NvmeControllerDependencies) {
    this.identity = options.identity;
    this.host = options.host;
    this.attachment = options.attachment;
    this.localAddress = options.localAddress;
    this.keepAliveMs = options.keepAliveMs;
    this.#dependencies = dependencies;
  }

  /** No queue may connect to it any more. */
  get isEnding(): boolean {
    return this.#isEnding;
  }

  /** I/O queues that are connected. */
  get ioQueueCount(): number {
    return this.#ioQueues.size;
  }

  visibleSubsystems(): readonly string[] {
    return this.#dependencies.visibleSubsystems();
  }

  /** A queue of that id is connected. */
  hasQueue(queueId: number): boolean {
    return queueId === 0 ? this.#adminQueue !== undefined : this.#ioQueues.has(queueId);
  }

  /** A queue has connected. */
  addQueue(queueId: number, queue: ControllerQueue): void {
    assert(!this.hasQueue(queueId) && !this.#isEnding, `queue ${queueId} is connected twice`);
    if (queueId === 0) this.#adminQueue = queue;
    else this.#ioQueues.set(queueId, queue);
  }

  /** A queue's connection is gone; commands of it may still run. The admin queue takes all others along. */
  queueClosed(queueId: number, queue: ControllerQueue): void {
    this.#draining.add(queue);
    if (queueId === 0) {
      this.#adminQueue = undefined;
      this.events.reset();
      this.end('its admin queue is gone');
    } else if (this.#ioQueues.get(queueId) === queue) this.#ioQueues.delete(queueId);
  }

  /** Nothing is under way any more on a queue that was closed. */
  queueDrained(queue: ControllerQueue): void {
    this.#draining.delete(queue);
    this.#settle();
  }

  /** The namespace has another size. */
  namespaceChanged(): void {
    if (!this.attachment || this.#isEnding) return;
    this.hasNamespaceChanged = true;
    this.events.raise(AsyncEvent.NAMESPACE_CHANGED);
  }

  /** The host may see other subsystems than before. */
  discoveryChanged(): void {
    if (!this.attachment && !this.#isEnding) this.events.raise(AsyncEvent.DISCOVERY_CHANGED);
  }

  /** Writes a property; false if that one cannot be written. */
  setProperty(offset: number, isEightBytes: boolean, value: number): boolean {
    const transition = this.properties.set(offset, isEightBytes, value);
    if (transition === 'reset') this.#reset();
    else if (transition === 'shutdown') this.#shutDown();
    return transition !== undefined;
  }

  /** Closes all connections; `ended` follows when nothing is under way. May be called twice. */
  end(reason: string): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.properties.fail();
    this.#closeIoQueues(reason);
    this.#adminQueue?.close(reason);
    this.#settle();
  }

  /** Calls back when each command that runs now on any queue has ended. */
  whenRunningEnd(settled: () => void): void {
    const queues = [...this.#ioQueues.values(), ...this.#draining];
    if (this.#adminQueue) queues.push(this.#adminQueue);
    let restCount = queues.length;
    if (restCount === 0) settled();
    for (const queue of queues) {
      queue.whenRunningEnd(() => {
        restCount--;
        if (restCount === 0) settled();
      });
    }
  }

  #reset(): void {
    this.#adminQueue?.dropParked(this.events.reset());
    this.hasNamespaceChanged = false;
    this.ioQueuesGranted = 0;
    this.#afterIo('the host resets the controller', () => this.properties.resetDone());
  }

  #shutDown(): void {
    const done = (): void => this.properties.shutdownDone();
    this.#afterIo('the host shuts the controller down', () => {
      if (this.attachment && !this.#isEnding) this.attachment.volume.flush(done);
      else done();
    });
  }

  /** Closes the I/O queues and calls back when nothing is under way on them. */
  #afterIo(reason: string, drained: () => void): void {
    this.#whenIoDrained = drained;
    this.#closeIoQueues(reason);
    this.#settle();
  }

  #closeIoQueues(reason: string): void {
    for (const queue of this.#ioQueues.values()) queue.close(reason);
    assert(this.#ioQueues.size === 0, 'a queue did not close');
  }

  #settle(): void {
    if (this.#draining.size > 0 || this.#ioQueues.size > 0) return;
    const drained = this.#whenIoDrained;
    this.#whenIoDrained = undefined;
    drained?.();
    if (!this.#isEnding || this.#adminQueue || this.#hasEnded) return;
    this.#hasEnded = true;
    this.attachment?.close();
    this.#dependencies.ended(this);
  }
}
