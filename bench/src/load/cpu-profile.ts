/** What a CPU profile of Node.js says about where a thread's time went. */
import { z } from 'zod';

const profileSchema = z.object({
  nodes: z.array(
    z.object({
      id: z.number(),
      callFrame: z.object({ functionName: z.string(), url: z.string() }),
    }),
  ),
  /** Microseconds of the monotonic clock. */
  startTime: z.number(),
  samples: z.array(z.number()),
  timeDeltas: z.array(z.number()),
});

/** Times in microseconds. */
export interface ProfileTimes {
  readonly javaScript: number;
  readonly garbageCollection: number;
  /** System calls, and code of Node.js and its libraries. */
  readonly native: number;
  readonly idle: number;
  /** Functions with the most time of their own, most first. */
  readonly functions: readonly { readonly name: string; readonly time: number }[];
}

/** A part of a profile, in microseconds of the monotonic clock. */
export interface ProfileWindow {
  readonly from: number;
  readonly end: number;
}

/** The function that makes the system call of io_uring: its own time is the kernel's. */
const systemCallFunction = { name: 'enter', file: 'uring/system-calls' };

/** Sums up the samples within a window. */
export function profileTimes(text: string, { from, end }: ProfileWindow): ProfileTimes {
  const profile = profileSchema.parse(JSON.parse(text));
  const nodes = new Map(profile.nodes.map((node) => [node.id, node.callFrame]));
  const times = { javaScript: 0, garbageCollection: 0, native: 0, idle: 0 };
  const functions = new Map<string, number>();
  let at = profile.startTime;
  profile.samples.forEach((id, index) => {
    const time = profile.timeDeltas[index]!;
    at += time;
    if (at < from || at > end) return;
    const { functionName, url } = nodes.get(id)!;
    const kind = kindOf(functionName, url);
    times[kind] += time;
    if (kind !== 'javaScript') return;
    const file = url.slice(url.lastIndexOf('/') + 1);
    const name = `${functionName === '' ? '(anonymous)' : functionName} (${file})`;
    functions.set(name, (functions.get(name) ?? 0) + time);
  });
  const sorted = [...functions].sort(([, a], [, b]) => b - a);
  return { ...times, functions: sorted.map(([name, time]) => ({ name, time })) };
}

function kindOf(functionName: string, url: string): Exclude<keyof ProfileTimes, 'functions'> {
  if (functionName === '(garbage collector)') return 'garbageCollection';
  if (functionName === '(idle)') return 'idle';
  const { name, file } = systemCallFunction;
  const isSystemCall = functionName === name && url.includes(file);
  return isSystemCall || functionName === '(program)' || url === '' ? 'native' : 'javaScript';
}
