/**
 * The daemon's bounds: every queue, buffer, wait and count that something outside can make grow stops at one of these.
 * Each says what it protects and why it is this large. Sizes that the on-disk format fixes live in `units` and `format`.
 */

/** Bytes in a mebibyte. */
const mebibyteBytes = 1024 * 1024;

/**
 * Requests that a file device has given to Node's thread pool. More would only wait there, in front of every other file
 * access of the process. Waiting ones need no bound of their own: each is backed by its caller's buffer, and the
 * callers (exports below, dirty pages in the store) are bounded.
 */
export const deviceRequestsInFlightMax = 32;

/** Bytes moved by one system call of a file device, so that one huge request does not occupy a thread for long. */
export const deviceTransferBytesMax = 4 * mebibyteBytes;

/**
 * Blocks of one write-zeroes or discard given to the store at a time (64 MiB). A client may ask for 4 GiB at once; in
 * pieces, other requests get their turn in between.
 */
export const zeroPieceBlocksMax = 16384;

/** Bytes of zeros written at a time where a client wants zeros that stay allocated. */
export const zeroBufferBytes = mebibyteBytes;
