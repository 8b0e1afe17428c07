/** What processes and threads have used of the processor, from `/proc`. */
import { readdirSync, readFileSync } from 'node:fs';

/** Of `utime` and `stime` in `/proc/<pid>/stat`: USER_HZ, which is 100 on every Linux that Node.js runs on. */
const ticksPerSecond = 100;

/** Seconds in user mode and in the kernel. */
export interface ProcessorTime {
  readonly userSeconds: number;
  readonly systemSeconds: number;
}

/** Of all threads of a process whose name begins with `threadName`, kernel threads that work for it included. */
export function processorTime(pid: number, threadName = ''): ProcessorTime {
  let userTicks = 0;
  let systemTicks = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const stat = parseThreadStat(readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8'));
    if (!stat.name.startsWith(threadName)) continue;
    userTicks += stat.userTicks;
    systemTicks += stat.systemTicks;
  }
  return {
    userSeconds: userTicks / ticksPerSecond,
    systemSeconds: systemTicks / ticksPerSecond,
  };
}

/** The fields of interest of one line; the name may hold spaces and parentheses (proc(5)). */
export function parseThreadStat(line: string): {
  readonly name: string;
  readonly userTicks: number;
  readonly systemTicks: number;
} {
  const nameEnd = line.lastIndexOf(')');
  const fields = line.slice(nameEnd + 2).split(' ');
  return {
    name: line.slice(line.indexOf('(') + 1, nameEnd),
    userTicks: Number(fields[11]),
    systemTicks: Number(fields[12]),
  };
}
