/** What a reactor has of io_uring: one ring, its loop, and the memory that may be used without copying. */
import { ArenaSet } from './arena.ts';
import { tellsOfReceives } from './receive-probe.ts';
import { Ring, type RingOptions } from './ring.ts';
import { RingLoop, type RingLoopOptions } from './ring-loop.ts';
import { ringSystemCalls, type RingSystemCalls } from './system-calls.ts';

/** The parts; whoever starts operations gets this. */
export interface IoRing {
  readonly ring: Ring;
  readonly loop: RingLoop;
  readonly arenas: ArenaSet;
}

/**
 * A batch never has more than some hundred operations; completions, four times as many. The backlog holds a receive
 * and a send of every connection that limits allow, and the requests of devices besides.
 */
const defaultOptions: RingOptions & RingLoopOptions = {
  submissionEntries: 1024,
  completionEntries: 4096,
  backlogEntries: 32_768,
  waitMicroseconds: 100,
};

/** Opens a ring for this thread. @throws RingRefusedError with what stands in the way. */
export function openIoRing(
  options: Partial<RingOptions & RingLoopOptions> = {},
  calls: RingSystemCalls = ringSystemCalls,
): IoRing {
  const all = { ...defaultOptions, ...options };
  const ring = new Ring({ mayDeferWork: tellsOfReceives(calls), ...all }, calls);
  return { ring, loop: new RingLoop(ring, all), arenas: new ArenaSet() };
}
