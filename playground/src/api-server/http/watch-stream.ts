/**
 * Writes a watch: one JSON document a line, until its time is over, the client goes, or the client does not
 * keep up.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { formatJson } from '../objects/json.ts';
import type { WatchEvent } from '../operations/watch.ts';
import { bookmarkIntervalMs, watchBacklogBytesMax } from '../limits.ts';
import type { WatchAnswer } from '../requests/request.ts';

/** Where a watch goes, and who else may end it. */
export interface WatchConnection {
  readonly incoming: IncomingMessage;
  readonly response: ServerResponse;
  /** The ends of all open watches, for a server that closes. */
  readonly watches: Set<() => void>;
}

/** Starts writing; returns at once. */
export function streamWatch(answer: WatchAnswer, { response, watches }: WatchConnection): void {
  response.writeHead(200, {
    'content-type': answer.mediaType,
    'cache-control': 'no-cache, private',
    'transfer-encoding': 'chunked',
  });
  response.flushHeaders();
  const write = (event: WatchEvent): void => {
    response.write(`${formatJson(answer.render(event))}\n`);
    // A client that does not read is cut; it lists again when it is back.
    if (response.writableLength > watchBacklogBytesMax) response.destroy();
  };
  for (const event of answer.watch.initial) write(event);
  const unsubscribe = answer.watch.subscribe(write);
  const bookmarks = answer.sendsBookmarks
    ? setInterval(() => write(answer.watch.bookmark()), bookmarkIntervalMs)
    : undefined;
  const end = (): void => {
    if (answer.sendsBookmarks && !response.writableEnded) write(answer.watch.bookmark());
    response.end();
  };
  const timeout = setTimeout(end, answer.timeoutMs);
  watches.add(end);
  response.once('close', () => {
    unsubscribe();
    clearInterval(bookmarks);
    clearTimeout(timeout);
    watches.delete(end);
  });
}
