/**
 * Numbers of the NBD protocol, under the specification's own names. All integers on the wire are big-endian.
 * Specification: the protocol document of the NBD project ("proto"), sections named beside each table.
 */

/** Magic numbers that stand for themselves; 64-bit ones as two halves. */
export const NbdMagic = {
  /** "NBDMAGIC", then "IHAVEOPT" (proto, Newstyle negotiation). */
  INIT_HIGH: 0x4e42444d,
  INIT_LOW: 0x41474943,
  OPTION_HIGH: 0x49484156,
  OPTION_LOW: 0x454f5054,
  OPTION_REPLY_HIGH: 0x0003e889,
  OPTION_REPLY_LOW: 0x045565a9,
  REQUEST: 0x25609513,
  SIMPLE_REPLY: 0x67446698,
  STRUCTURED_REPLY: 0x668e33ef,
} as const;

/** Handshake flags, the server's (16 bits) and the client's (32 bits) alike (proto, Handshake flags). */
export const NbdHandshakeFlag = { FIXED_NEWSTYLE: 1, NO_ZEROES: 2 } as const;

/** Option types (proto, Option types). */
export const NbdOption = {
  EXPORT_NAME: 1,
  ABORT: 2,
  LIST: 3,
  PEEK_EXPORT: 4,
  STARTTLS: 5,
  INFO: 6,
  GO: 7,
  STRUCTURED_REPLY: 8,
  LIST_META_CONTEXT: 9,
  SET_META_CONTEXT: 10,
  EXTENDED_HEADERS: 11,
} as const;

/** Option reply types; errors have bit 31 set (proto, Option reply types). */
export const NbdOptionReply = {
  ACK: 1,
  SERVER: 2,
  INFO: 3,
  META_CONTEXT: 4,
  ERR_UNSUP: 0x80000001,
  ERR_POLICY: 0x80000002,
  ERR_INVALID: 0x80000003,
  ERR_UNKNOWN: 0x80000006,
  ERR_SHUTDOWN: 0x80000007,
  ERR_TOO_BIG: 0x80000009,
} as const;

/** Types of NBD_REP_INFO (proto, NBD_REP_INFO). */
export const NbdInfo = { EXPORT: 0, NAME: 1, DESCRIPTION: 2, BLOCK_SIZE: 3 } as const;

/** Transmission flags (proto, Transmission flags). */
export const NbdTransmissionFlag = {
  HAS_FLAGS: 1 << 0,
  READ_ONLY: 1 << 1,
  SEND_FLUSH: 1 << 2,
  SEND_FUA: 1 << 3,
  SEND_TRIM: 1 << 5,
  SEND_WRITE_ZEROES: 1 << 6,
  SEND_DF: 1 << 7,
  CAN_MULTI_CONN: 1 << 8,
  SEND_FAST_ZERO: 1 << 11,
} as const;

/** Request types (proto, Request types). */
export const NbdCommand = {
  READ: 0,
  WRITE: 1,
  DISC: 2,
  FLUSH: 3,
  TRIM: 4,
  CACHE: 5,
  WRITE_ZEROES: 6,
  BLOCK_STATUS: 7,
  RESIZE: 8,
} as const;

/** Command flags (proto, Command flags). */
export const NbdCommandFlag = {
  FUA: 1 << 0,
  NO_HOLE: 1 << 1,
  DF: 1 << 2,
  REQ_ONE: 1 << 3,
  FAST_ZERO: 1 << 4,
} as const;

/** Structured reply flags and types (proto, Structured reply flags, Structured reply types). */
export const NbdReplyFlag = { DONE: 1 } as const;
/** See `NbdReplyFlag`. */
export const NbdReplyType = {
  NONE: 0,
  OFFSET_DATA: 1,
  OFFSET_HOLE: 2,
  BLOCK_STATUS: 5,
  ERROR: 0x8001,
} as const;

/** Error values (proto, Error values): the only ones that a server may send. */
export const NbdError = {
  EPERM: 1,
  EIO: 5,
  EINVAL: 22,
  ENOSPC: 28,
  EOVERFLOW: 75,
  ENOTSUP: 95,
  ESHUTDOWN: 108,
} as const;
/** One of `NbdError`. */
export type NbdErrorValue = (typeof NbdError)[keyof typeof NbdError];

/** States in a block status of the context `base:allocation` (proto, The `base:` metadata namespace). */
export const NbdAllocation = { DATA: 0, HOLE: 1, ZERO: 2 } as const;
