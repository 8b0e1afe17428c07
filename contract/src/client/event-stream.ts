/** Reads server-sent events (HTML standard, section 9.2): as much of the format as the daemon writes. */
import { eventSchema, type Event } from '../event.ts';
import { isProblemError, ProblemError } from '../problem.ts';

/** Longest line accepted: many times what an event needs, so that a wrong server cannot fill the memory. */
const lineLengthMax = 64 * 1024;

/**
 * Turns the bytes of a stream into events; comments (keep-alives) are skipped. Ends with the stream, throws
 * when it breaks.
 */
export async function* readEvents(
  action: string,
  body: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Event> {
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for await (const chunk of body) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > lineLengthMax) {
        throw new ProblemError('internal', `${action} failed: a line is over ${lineLengthMax}`);
      }
      for (const line of lines) if (line.startsWith('data: ')) yield parseEvent(action, line);
    }
  } catch (cause) {
    signal?.throwIfAborted();
    if (isProblemError(cause)) throw cause;
    throw new ProblemError('unavailable', `${action} failed: the stream broke off`, { cause });
  }
}

function parseEvent(action: string, line: string): Event {
  try {
    return eventSchema.parse(JSON.parse(line.slice('data: '.length)));
  } catch (cause) {
    const shown = JSON.stringify(line.slice(0, 200));
    throw new ProblemError('internal', `${action} failed: ${shown} is no event`, { cause });
  }
}
