/**
 * Numbers of the wire, under the specifications' own names (NVMe/TCP Transport 1.0, NVMe Base 2.0, NVM Command
 * Set 1.0).
 */

/** PDU types (TCP Transport, section 3.6.1). */
export const PduType = {
  IC_REQ: 0x00,
  IC_RESP: 0x01,
  H2C_TERM_REQ: 0x02,
  C2H_TERM_REQ: 0x03,
  CAPSULE_CMD: 0x04,
  CAPSULE_RESP: 0x05,
  H2C_DATA: 0x06,
  C2H_DATA: 0x07,
  R2T: 0x09,
} as const;

/** Bits of the FLAGS byte of a PDU. */
export const PduFlag = { HDGST: 0x01, DDGST: 0x02, LAST: 0x04, SUCCESS: 0x08 } as const;

/** Lengths of PDU headers, without their digest. */
export const PduHeaderBytes = { COMMON: 8, IC: 128, TERM: 24, CAPSULE_CMD: 72, DATA: 24 } as const;

/** Bytes of a header or data digest. */
export const digestBytes = 4;
/** Bytes of a submission queue entry. */
export const sqeBytes = 64;
/** Bytes of a completion queue entry. */
export const cqeBytes = 16;

/** Fatal error status of a TermReq PDU (TCP Transport, section 3.6.2.5). */
export const FatalError = {
  INVALID_HEADER_FIELD: 1,
  SEQUENCE_ERROR: 2,
  HEADER_DIGEST_ERROR: 3,
  DATA_OUT_OF_RANGE: 4,
  DATA_LIMIT_EXCEEDED: 5,
  UNSUPPORTED_PARAMETER: 6,
} as const;

/** One of the fatal errors. */
export type FatalErrorValue = (typeof FatalError)[keyof typeof FatalError];

/** SGL descriptor types of NVMe/TCP: the type byte of SGL1. */
export const SglType = { IN_CAPSULE: 0x01, TRANSPORT: 0x5a } as const;

/** The one opcode of all fabrics commands, on every queue. */
export const fabricsOpcode = 0x7f;

/** Fabrics command types. */
export const FabricsType = {
  PROPERTY_SET: 0x00,
  CONNECT: 0x01,
  PROPERTY_GET: 0x04,
  AUTHENTICATION_SEND: 0x05,
  AUTHENTICATION_RECEIVE: 0x06,
} as const;

/** Admin opcodes. */
export const AdminOpcode = {
  GET_LOG_PAGE: 0x02,
  IDENTIFY: 0x06,
  ABORT: 0x08,
  SET_FEATURES: 0x09,
  GET_FEATURES: 0x0a,
  ASYNC_EVENT_REQUEST: 0x0c,
  KEEP_ALIVE: 0x18,
} as const;

/** Opcodes of the NVM command set. */
export const IoOpcode = {
  FLUSH: 0x00,
  WRITE: 0x01,
  READ: 0x02,
  COMPARE: 0x05,
  WRITE_ZEROES: 0x08,
  DATASET_MANAGEMENT: 0x09,
  VERIFY: 0x0c,
} as const;

/** Direction of a command's data: the low two bits of its opcode, or of a fabrics command's type. */
export const DataDirection = { NONE: 0, HOST_TO_CONTROLLER: 1, CONTROLLER_TO_HOST: 2 } as const;

/** Controller types of Identify. */
export const ControllerType = { IO: 1, DISCOVERY: 2 } as const;

/** The namespace that every subsystem of a volume has. */
export const volumeNsid = 1;
/** "All namespaces". */
export const broadcastNsid = 0xffffffff;

/** The well-known name of the discovery subsystem (Base, section 4.5). */
export const discoveryNqn = 'nqn.2014-08.org.nvmexpress.discovery';
