/**
 * Status of completions (NVMe Base 2.0, section 3.3.3.2.1): status code type and status code in one number, as
 * Linux prints it. The wire has one bit more below (phase, always 0 on fabrics) and the retry hints above.
 */

/** Status code type << 8 | status code. */
export const NvmeStatus = {
  SUCCESS: 0x000,
  INVALID_OPCODE: 0x001,
  INVALID_FIELD: 0x002,
  DATA_TRANSFER_ERROR: 0x004,
  INTERNAL_ERROR: 0x006,
  ABORT_REQUESTED: 0x007,
  INVALID_NAMESPACE: 0x00b,
  COMMAND_SEQUENCE_ERROR: 0x00c,
  DATA_SGL_LENGTH_INVALID: 0x00f,
  SGL_DESCRIPTOR_TYPE_INVALID: 0x011,
  SGL_OFFSET_INVALID: 0x016,
  KEEP_ALIVE_TIMEOUT_INVALID: 0x01a,
  NAMESPACE_WRITE_PROTECTED: 0x020,
  TRANSIENT_TRANSPORT_ERROR: 0x022,
  LBA_OUT_OF_RANGE: 0x080,
  CAPACITY_EXCEEDED: 0x081,
  NAMESPACE_NOT_READY: 0x082,
  AER_LIMIT_EXCEEDED: 0x105,
  CONNECT_INCOMPATIBLE_FORMAT: 0x180,
  CONNECT_CONTROLLER_BUSY: 0x181,
  CONNECT_INVALID_PARAMETERS: 0x182,
  CONNECT_INVALID_HOST: 0x184,
  COMMAND_SIZE_LIMIT_EXCEEDED: 0x183,
  AUTHENTICATION_REQUIRED: 0x191,
  WRITE_FAULT: 0x280,
  UNRECOVERED_READ_ERROR: 0x281,
  COMPARE_FAILURE: 0x285,
} as const;

/** One of the status values. */
export type NvmeStatusValue = (typeof NvmeStatus)[keyof typeof NvmeStatus];

const doNotRetryWire = 0x8000;

/** Failures that pass: a host may, and should, try again. */
const retryable: ReadonlySet<NvmeStatusValue> = new Set([
  NvmeStatus.SUCCESS,
  NvmeStatus.TRANSIENT_TRANSPORT_ERROR,
  NvmeStatus.NAMESPACE_NOT_READY,
  // With "do not retry" Linux deletes the controller for good when a target is only starting up.
  NvmeStatus.CONNECT_CONTROLLER_BUSY,
]);

/** The 16 bits of a completion: phase 0, status, and "do not retry" where trying again cannot help. */
export function encodeStatus(status: NvmeStatusValue): number {
  return (status << 1) | (retryable.has(status) ? 0 : doNotRetryWire);
}
