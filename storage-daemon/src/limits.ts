/**
 * The daemon's bounds: every queue, buffer, wait and count that something outside can make grow stops at
 * one of these. Each says what it protects and why it is this large. Sizes that the on-disk format fixes
 * live in `units` and `format`.
 */

/** Bytes in a mebibyte. */
const mebibyteBytes = 1024 * 1024;

/**
 * Requests that a file device has given to Node's thread pool. More would only wait there, in front of
 * every other file access of the process. Waiting ones need no bound of their own: each is backed by its
 * caller's buffer, and the callers (exports below, dirty pages in the store) are bounded.
 */
export const deviceRequestsInFlightMax = 32;

/** Bytes moved by one system call of a file device, so that one huge request does not occupy a thread for long. */
export const deviceTransferBytesMax = 4 * mebibyteBytes;

/**
 * Requests that an io_uring device has given to the kernel: deeper than the queue of any NVMe device serves at once.
 * Waiting ones need no bound of their own, as above.
 */
export const ringDeviceRequestsInFlightMax = 256;

/** Slots of one block that an io_uring device copies through: one for each request that it has under way (1 MiB). */
export const ringBounceBlockSlots = 256;

/** Size of its larger slots: as much as common devices move at once. Larger requests are moved in parts. */
export const ringBounceLargeBytes = mebibyteBytes / 4;

/** Its larger slots (8 MiB): enough sequential I/O to keep a device busy. */
export const ringBounceLargeSlots = 32;

/**
 * Blocks of one write-zeroes or discard given to the store at a time (64 MiB). A client may ask for 4 GiB
 * at once; in pieces, other requests get their turn in between.
 */
export const zeroPieceBlocksMax = 16384;

/** Bytes of zeros written at a time where a client wants zeros that stay allocated. */
export const zeroBufferBytes = mebibyteBytes;

/**
 * Largest READ or WRITE of an NBD client, announced to it. What clients assume unless told otherwise (NBD
 * proto, Size constraints).
 */
export const nbdPayloadBytesMax = 32 * mebibyteBytes;

/**
 * A WRITE larger than allowed is read and dropped up to this size, so that the connection survives; beyond
 * it, it ends. libnbd's own largest request.
 */
export const nbdDroppedPayloadBytesMax = 64 * mebibyteBytes;

/**
 * Bytes of reads and writes that one connection has under way, plus the one request that brought it there;
 * then its socket is not read. A quarter of it is what nbdcopy has under way on a connection by default.
 */
export const nbdBytesInFlightMax = 32 * mebibyteBytes;

/**
 * Requests that one connection has under way; then its socket is not read. nbdcopy asks for 64, a kernel
 * for 128 to 256.
 */
export const nbdRequestsInFlightMax = 512;

/** Data of one option. Lists of meta contexts are the longest that clients send; a name has at most 4096 bytes. */
export const nbdOptionBytesMax = 64 * 1024;

/**
 * A longer option is read and dropped up to this size and answered with "too big"; beyond it, the
 * connection ends.
 */
export const nbdDroppedOptionBytesMax = mebibyteBytes;

/**
 * Options of one connection, so that nobody negotiates for ever. Clients that list exports ask two more per
 * export; these come on top.
 */
export const nbdOptionsMax = 1000;

/** Names, queries and texts (NBD proto: "strings are at most 4096 bytes"). */
export const nbdStringBytesMax = 4096;

/** Queries in one meta context option: more than any client knows namespaces. */
export const nbdMetaQueriesMax = 1024;

/**
 * Extents in one answer to BLOCK_STATUS (256 KiB); the client asks again for the rest. The protocol's bound
 * is 2^20.
 */
export const nbdStatusExtentsMax = 32 * 1024;

/**
 * A run of zeros in a read that is sent as a hole instead: about where twenty header bytes and a chunk of
 * its own pay off.
 */
export const nbdHoleBytesMin = 64 * 1024;

/**
 * Open connections of all NBD clients. With all of their buffers full, each holds two of the largest
 * requests at most.
 */
export const nbdConnectionsMax = 1024;

/** Time in which a client must have opened an export, lists of thousands of exports included. */
export const nbdHandshakeTimeoutMs = 60_000;

/**
 * Bytes of replies that wait for the client to take them before a connection's requests are held back: enough
 * that a client that reads large blocks never starves, and small beside what is under way.
 */
export const nbdOutputBytesMax = 2 * mebibyteBytes;

/**
 * Memory of a connection that input is received into. The longest option fits, and so do thirty writes of 4 KiB:
 * what comes in one system call.
 */
export const nbdInputBytes = 128 * 1024;

/** Memory of a connection that replies are gathered in: a little more than 32 reads of 4 KiB, for one call. */
export const nbdOutputBatchBytes = 160 * 1024;

/** Connections that a reactor with a ring has memory for from the start, and so many more each time (5 MiB). */
export const nbdRingConnections = 16;

/**
 * Data of a read that is copied behind its head; longer data is sent from where it lies. Copying is cheaper than
 * another piece of a system call up to about here.
 */
export const nbdCopiedReplyBytesMax = 16 * 1024;

/**
 * The rest of a payload that is received straight into its place. A shorter rest comes with what follows it, in one
 * system call, and is copied.
 */
export const nbdDirectPayloadBytesMin = 32 * 1024;

/**
 * Buffers of NBD requests that a reactor keeps, by size: the usual block sizes of file systems and copy tools at
 * their usual queue depths (24 MiB). More requests, or longer ones, use memory of the moment.
 */
export const nbdBufferClasses = [
  { sizeBytes: 4096, countMax: 1024 },
  { sizeBytes: 64 * 1024, countMax: 64 },
  { sizeBytes: 256 * 1024, countMax: 64 },
] as const;

/**
 * Time in which a client takes nothing of what it is sent. Longer than any pause of a virtual machine or a
 * debugger should be.
 */
export const nbdOutputStallTimeoutMs = 10 * 60_000;

/** Time that a client gets to close its side after the server has closed its own: it then has read all replies. */
export const nbdLingerTimeoutMs = 5_000;

/**
 * Time that clients get to take their last replies when the daemon stops; requests to devices are waited
 * for without bound, since the store must not close before them.
 */
export const nbdShutdownTimeoutMs = 10_000;

/**
 * Data inside an NVMe/TCP command capsule, on every queue. Linux puts up to 8 KiB inline on the admin queue
 * whatever a controller says, and what fits IOCCSZ on others: 4 KiB writes then need no extra round trip.
 */
export const nvmeCapsuleDataBytesMax = 8192;

/** Padding that is accepted between a PDU's header and its data: the largest alignment of the specification. */
export const nvmePaddingBytesMax = 128;

/**
 * Largest read or write over NVMe/TCP, announced as MDTS 8 (4 KiB << 8). It also is what one H2CData may carry, so
 * that one R2T per write is enough for every host.
 */
export const nvmeTransferBytesMax = mebibyteBytes;

/**
 * Data of commands that one NVMe queue has under way; further reads, and writes that did not bring their data
 * along, wait for it. Sixteen of the largest requests keep any device busy.
 */
export const nvmeQueueDataBytesMax = 16 * mebibyteBytes;

/** The same for all queues together. Beyond it, each queue still has one command under way. */
export const nvmeTargetDataBytesMax = 512 * mebibyteBytes;

/** Entries of an NVMe queue, less one: MQES. Linux asks for 128 entries. */
export const nvmeQueueEntriesMax = 127;

/** Asynchronous event requests that a controller holds, less one: AERL. SPDK's initiator sends up to 8, Linux one. */
export const nvmeEventRequestsMax = 4;

/** I/O queues of one controller. Linux asks for one per processor and makes do with fewer. */
export const nvmeIoQueuesMax = 16;

/**
 * Controllers of a target: every node of a large cluster with several paths. A host that finds no room is told to
 * try again.
 */
export const nvmeControllersMax = 2048;

/** Discovery controllers, which need no grant: one that stays for each node of a large cluster. */
export const nvmeDiscoveriesMax = 1024;

/** One message of an authentication: a group of 8192 bits needs little more than 1 KiB, Linux has room for 4 KiB. */
export const nvmeAuthenticationBytesMax = 65_536;

/**
 * Times that an NVMe host has to initialise a connection (Linux itself waits as long), to connect and authenticate
 * its queue, and to go on with data that it has begun or was asked for.
 */
export const nvmeInitializationTimeoutMs = 10_000;
/** A host sends 128 bytes of ICReq and about 1,100 of Connect; more than this is kept of none. */
export const nvmeBegunBytesMax = 65_536;
/** See `nvmeInitializationTimeoutMs`. */
export const nvmeConnectTimeoutMs = 30_000;
/** See `nvmeInitializationTimeoutMs`. */
export const nvmeDataTimeoutMs = 60_000;

/** Time in which an NVMe host takes nothing of what it is sent; it has given up on its commands long before. */
export const nvmeOutputStallTimeoutMs = 60_000;

/** Bytes that wait in a socket before an NVMe connection's commands are held back. */
export const nvmeOutputBytesMax = 2 * mebibyteBytes;

/** Time that an NVMe host gets to read why its connection ended. */
export const nvmeLingerTimeoutMs = 2_000;

/**
 * Silence that ends a controller whose host named no keep-alive timeout: only discovery controllers may do that, others
 * are kept until their connection fails.
 */
export const nvmeDiscoveryIdleTimeoutMs = 120_000;

/** Silence of an NVMe connection after which TCP asks whether the host is there. */
export const nvmeTcpKeepAliveMs = 30_000;

/** How often deadlines of NVMe connections and controllers are looked at; they count in seconds. */
export const nvmeSweepIntervalMs = 1_000;

/**
 * NVMe connections of a reactor that its ring serves, with 0.3 MiB of locked memory each; further ones are served by
 * Node's own sockets.
 */
export const nvmeRingConnectionsMax = 512;

/** Connections of all NVMe hosts: as many as a process should have sockets. */
export const nvmeConnectionsMax = 8192;

/** Path of a unix socket (`sockaddr_un`, one byte less than its 108 for the end mark). */
export const socketPathBytesMax = 107;

/**
 * Negotiations of DH-HMAC-CHAP on one queue without a success: a host needs one, and each may cost some milliseconds
 * of the reactor for a Diffie-Hellman key.
 */
export const dhchapNegotiationsMax = 3;

/**
 * Time whose rate a limited volume may use up at once after a pause: enough for a client that submits in batches, too
 * little to disturb others.
 */
export const limitBurstMs = 100;
