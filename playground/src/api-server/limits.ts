/** The bounds of the embedded API server, each with its reason. */

/**
 * Changes kept for watches and paged lists; a watch that is further behind gets 410 and lists again. 200
 * snapshots make about 2,400.
 */
export const historyChangesMax = 20_000;

/**
 * The log is folded into a snapshot after so many changes: replaying them all at a start takes well below a
 * second.
 */
export const logChangesMax = 20_000;

/** Largest request body, as in kube-apiserver (etcd takes no larger object). */
export const bodyBytesMax = 3 * 1024 * 1024;

/** A watch whose client does not read is closed when so much waits for it; the client lists again. */
export const watchBacklogBytesMax = 32 * 1024 * 1024;

/** How often an idle watch gets a bookmark: often enough that its resource version stays within the history. */
export const bookmarkIntervalMs = 15_000;

/** A watch without `timeoutSeconds` ends after about half an hour, as with kube-apiserver; clients reconnect. */
export const watchTimeoutMs = 30 * 60 * 1000;

/** Events are deleted after an hour, as with kube-apiserver's default `--event-ttl`. */
export const eventLifetimeMs = 60 * 60 * 1000;

/** How often old events are looked for. */
export const eventSweepIntervalMs = 60_000;

/** Random names that are tried for one `generateName` before the request is refused, as in kube-apiserver. */
export const generateNameAttemptsMax = 8;

/** How long close() waits for open requests before it cuts their connections. */
export const closeGraceMs = 2_000;

/** How often close() looks for connections that have become idle. */
export const closePollMs = 10;
