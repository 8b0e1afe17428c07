/**
 * The haggling phase (proto, Fixed newstyle negotiation): one option in, its replies out. Remembers what
 * was agreed on. Options arrive whole, in order; framing and limits are the session's.
 */
import { nbdPayloadBytesMax } from '../limits.ts';
import {
  isRefusal,
  type NbdExport,
  type NbdExportRefusal,
  type NbdExports,
  transmissionFlags,
} from './exports.ts';
import {
  allocationContext,
  allocationContextId,
  decodeMetaContextRequest,
  listsAllocation,
  selectsAllocation,
} from './meta-context.ts';
import { decodeString, OptionError, OptionReader } from './option-reader.ts';
import {
  encodeAck,
  encodeBlockSizeInfo,
  encodeExportInfo,
  encodeMetaContext,
  encodeOptionError,
  encodeServer,
  encodeTextInfo,
} from './option-reply.ts';
import { NbdHandshakeFlag, NbdInfo, NbdOption, NbdOptionReply } from './wire-constants.ts';

/** What holds for the transmission phase. */
export interface NbdAgreement {
  readonly hasStructuredReplies: boolean;
  /** The client may ask for block status. */
  readonly hasAllocationContext: boolean;
  readonly isReadOnly: boolean;
}

/** What a client has agreed on before it opens an export: plain values, for whoever goes on with it. */
export interface NbdAgreedOptions {
  readonly clientFlags: number;
  readonly hasStructuredReplies: boolean;
  /** The export for which `base:allocation` was selected. */
  readonly allocationFor: string | undefined;
}

/** What comes after an option. */
export type NegotiationStep =
  | { readonly next: 'option' }
  | { readonly next: 'close' }
  /** Somebody else is to answer it, and all that follows. */
  | { readonly next: 'elsewhere'; readonly exportName: string }
  | { readonly next: 'transmission'; readonly agreement: NbdAgreement };

/**
 * Any request size works (parts of blocks are merged); blocks are what is fast (proto, Size constraints).
 */
const blockSizes = { minimum: 1, preferred: 4096, maximum: nbdPayloadBytesMax };

const refusalReplies: Record<NbdExportRefusal['refused'], number> = {
  unknown: NbdOptionReply.ERR_UNKNOWN,
  busy: NbdOptionReply.ERR_POLICY,
  'shutting-down': NbdOptionReply.ERR_SHUTDOWN,
};

const nextOption: NegotiationStep = { next: 'option' };
const close: NegotiationStep = { next: 'close' };

/** One connection's negotiation. */
export class Negotiation {
  /** Exports that were listed to this client: it will want to know more of each. */
  listedCount = 0;
  readonly #clientFlags: number;
  readonly #exports: NbdExports;
  readonly #send: (bytes: Buffer) => void;
  #hasStructuredReplies = false;
  /** The export for which `base:allocation` was selected. */
  #allocationFor: string | undefined;
  readonly #isContinued: boolean;

  /** `isContinued`: it was begun elsewhere, for the one export that the next option opens. */
  constructor(
    agreed: Partial<NbdAgreedOptions> & Pick<NbdAgreedOptions, 'clientFlags'>,
    {
      exports,
      send,
      isContinued = false,
    }: { exports: NbdExports; send: (bytes: Buffer) => void; isContinued?: boolean },
  ) {
    this.#clientFlags = agreed.clientFlags;
    this.#hasStructuredReplies = agreed.hasStructuredReplies ?? false;
    this.#allocationFor = agreed.allocationFor;
    this.#exports = exports;
    this.#send = send;
    this.#isContinued = isContinued;
  }

  /** For whoever goes on with it. */
  get agreed(): NbdAgreedOptions {
    return {
      clientFlags: this.#clientFlags,
      hasStructuredReplies: this.#hasStructuredReplies,
      allocationFor: this.#allocationFor,
    };
  }

  /** Answers one option. */
  answer(option: number, data: Buffer): NegotiationStep {
    try {
      return this.#dispatch(option, data);
    } catch (error) {
      if (!(error instanceof OptionError)) throw error;
      if (option === NbdOption.EXPORT_NAME) return close;
      this.#send(encodeOptionError(option, error.reply, error.message));
      // What else the client may want is not here.
      return this.#isContinued ? close : nextOption;
    }
  }

  #dispatch(option: number, data: Buffer): NegotiationStep {
    if (option === NbdOption.EXPORT_NAME) return this.#exportName(data);
    if (option === NbdOption.ABORT) {
      this.#send(encodeAck(option));
      return close;
    }
    // Without fixed newstyle a client cannot read replies to other options (proto, Newstyle negotiation).
    if ((this.#clientFlags & NbdHandshakeFlag.FIXED_NEWSTYLE) === 0) return close;
    switch (option) {
      case NbdOption.LIST:
        return this.#list(data);
      case NbdOption.INFO:
      case NbdOption.GO:
        return this.#infoOrGo(option, data);
      case NbdOption.STRUCTURED_REPLY:
        expectNoData(data);
        this.#hasStructuredReplies = true;
        this.#send(encodeAck(option));
        return nextOption;
      case NbdOption.LIST_META_CONTEXT:
        return this.#listMetaContext(data);
      case NbdOption.SET_META_CONTEXT:
        return this.#setMetaContext(data);
      default:
        throw new OptionError(NbdOptionReply.ERR_UNSUP, `option ${option} is not supported`);
    }
  }

  /** The oldest way: no reply to refuse with, so a refusal is the end of the connection. */
  #exportName(data: Buffer): NegotiationStep {
    const opened = this.#exports.open(decodeString(data, 'the export name'));
    if (isRefusal(opened)) return close;
    if ('elsewhere' in opened) return { next: 'elsewhere', exportName: opened.elsewhere };
    const hasNoZeroes = (this.#clientFlags & NbdHandshakeFlag.NO_ZEROES) !== 0;
    const reply = Buffer.alloc(hasNoZeroes ? 10 : 134);
    reply.writeBigUInt64BE(BigInt(opened.sizeBytes), 0);
    reply.writeUInt16BE(this.#flagsOf(opened), 8);
    this.#send(reply);
    return this.#transmission(opened);
  }

  #list(data: Buffer): NegotiationStep {
    expectNoData(data);
    for (const { name, description } of this.#exports.list()) {
      this.#send(encodeServer(NbdOption.LIST, name, description));
      this.listedCount++;
    }
    this.#send(encodeAck(NbdOption.LIST));
    return nextOption;
  }

  #infoOrGo(option: number, data: Buffer): NegotiationStep {
    const reader = new OptionReader(data);
    const name = reader.readString('the export name');
    const count = reader.readU16('the number of information requests');
    const wanted = new Set<number>();
    for (let index = 0; index < count; index++)
      wanted.add(reader.readU16('an information request'));
    reader.expectEnd();
    const found = option === NbdOption.GO ? this.#exports.open(name) : this.#exports.describe(name);
    if (isRefusal(found)) throw new OptionError(refusalReplies[found.refused], found.message);
    if ('elsewhere' in found) return { next: 'elsewhere', exportName: found.elsewhere };
    this.#send(encodeExportInfo(option, found.sizeBytes, this.#flagsOf(found)));
    if (wanted.has(NbdInfo.NAME)) this.#send(encodeTextInfo(option, NbdInfo.NAME, found.name));
    if (wanted.has(NbdInfo.DESCRIPTION)) {
      this.#send(encodeTextInfo(option, NbdInfo.DESCRIPTION, found.description));
    }
    if (wanted.has(NbdInfo.BLOCK_SIZE)) this.#send(encodeBlockSizeInfo(option, blockSizes));
    this.#send(encodeAck(option));
    return option === NbdOption.GO ? this.#transmission(found) : nextOption;
  }

  #listMetaContext(data: Buffer): NegotiationStep {
    const option = NbdOption.LIST_META_CONTEXT;
    const { exportName, queries } = decodeMetaContextRequest(data);
    this.#expectExport(exportName);
    // In a list the id means nothing and is 0.
    if (listsAllocation(queries)) this.#send(encodeMetaContext(option, 0, allocationContext));
    this.#send(encodeAck(option));
    return nextOption;
  }

  /** A new selection replaces the old one, also when it fails. */
  #setMetaContext(data: Buffer): NegotiationStep {
    const option = NbdOption.SET_META_CONTEXT;
    this.#allocationFor = undefined;
    if (!this.#hasStructuredReplies) {
      throw new OptionError(
        NbdOptionReply.ERR_INVALID,
        'structured replies must be agreed on first',
      );
    }
    const { exportName, queries } = decodeMetaContextRequest(data);
    const { name } = this.#expectExport(exportName);
    if (selectsAllocation(queries)) {
      this.#allocationFor = name;
      this.#send(encodeMetaContext(option, allocationContextId, allocationContext));
    }
    this.#send(encodeAck(option));
    return nextOption;
  }

  #expectExport(name: string): NbdExport {
    const found = this.#exports.describe(name);
    if (isRefusal(found)) throw new OptionError(refusalReplies[found.refused], found.message);
    return found;
  }

  #flagsOf({ isReadOnly }: NbdExport): number {
    return transmissionFlags(isReadOnly, this.#hasStructuredReplies);
  }

  #transmission({ name, isReadOnly }: NbdExport): NegotiationStep {
    const agreement = {
      hasStructuredReplies: this.#hasStructuredReplies,
      // A selection for another export is void (proto, NBD_OPT_SET_META_CONTEXT).
      hasAllocationContext: this.#allocationFor === name,
      isReadOnly,
    };
    return { next: 'transmission', agreement };
  }
}

function expectNoData(data: Buffer): void {
  if (data.length > 0) {
    const message = `the option takes no data, but ${data.length} bytes came`;
    throw new OptionError(NbdOptionReply.ERR_INVALID, message);
  }
}
