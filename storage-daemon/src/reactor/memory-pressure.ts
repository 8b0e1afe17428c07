/**
 * A node may be initiator and target at once: under memory pressure the kernel then writes dirty pages back through
 * this very daemon. A thread that serves block devices tells the kernel so: its own allocations then never wait for
 * such writes (`PR_SET_IO_FLUSHER`, prctl(2), Linux 5.6).
 */
import { controlProcess, errorName } from '../uring/system-calls.ts';
import type { ReactorNotices } from './channel.ts';

/** From linux/prctl.h */
const setIoFlusher = 57;

/** Marks this thread; without the privilege it goes on unmarked, and the log says so. */
export function markAsIoFlusher(
  log: ReactorNotices['log'],
  control: typeof controlProcess = controlProcess,
): void {
  const result = control(setIoFlusher, 1);
  if (result >= 0) return;
  log('info', 'the kernel may wait for this daemon when it needs memory for it', {
    reason: `PR_SET_IO_FLUSHER: ${errorName(result)}, it needs CAP_SYS_RESOURCE`,
  });
}
