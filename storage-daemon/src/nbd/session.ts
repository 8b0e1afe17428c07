/**
 * One client's connection from greeting to end: bytes in, actions out. Frames what arrives, keeps the
 * limits, and leaves the meaning to `negotiation` and `transmission`. Knows no socket, no store and no
 * clock; the owner brings those.
 *
 * States (proto, Protocol phases):
 *
 *   client-flags -> option-head <-> option-data | option-skip
 *                        |  GO or EXPORT_NAME
 *                        v
 *                   request-head <-> payload | payload-skip
 *                        |  DISC, end of input, shutdown
 *                        v
 *                     draining -> closed
 *
 * Any violation that leaves no way to find the next message ends the connection at once. Requests under way
 * still complete then; `ended` comes after the last of them.
 */
import { assert, assertNever } from '@varve/common/assert';

import {
  nbdDirectPayloadBytesMin,
  nbdDroppedOptionBytesMax,
  nbdDroppedPayloadBytesMax,
  nbdInputBytes,
  nbdOptionBytesMax,
  nbdOptionsMax,
  nbdOutputBytesMax,
} from '../limits.ts';
import type { NbdExports } from './exports.ts';
import { InputBuffer } from './input-buffer.ts';
import type { IoBuffer, IoBufferPool } from './io-buffer.ts';
import { type NbdAgreedOptions, Negotiation } from './negotiation.ts';
import { encodeOptionError } from './option-reply.ts';
import type { OutputBatch } from './output-batch.ts';
import { OutputQueue } from './output-queue.ts';
import { decodeRequest, payloadBytes, requestHeadBytes } from './request.ts';
import type { RequestRefusal } from './request.ts';
import { type OpenRequest, Transmission } from './transmission.ts';
import type { NbdVolume } from './volume-port.ts';
import { NbdCommand, NbdHandshakeFlag, NbdMagic, NbdOptionReply } from './wire-constants.ts';

/** What the session asks of its owner. None of these may call back into the session before it returns. */
export interface NbdActions {
  /** There is something to send: `takeOutput` moves it into a batch. */
  outputReady(): void;
  /** Whether more input is wanted; input that comes all the same is kept. */
  setReading(isReading: boolean): void;
  /**
   * Nothing more will be asked to be sent. With a reason the client broke the protocol: it need not get what is
   * still unsent.
   */
  disconnect(violation: string | undefined): void;
  /**
   * The export is elsewhere, and whoever has it goes on with the connection once all of the output is sent: from
   * `bytes` on, which are not answered here. Absent where no export is elsewhere.
   */
  elsewhere?(exportName: string, agreed: NbdAgreedOptions, bytes: Buffer): void;
  /** The last call: nothing is under way any more, the export can be closed. */
  ended(): void;
}

/** Where received bytes are to be put. */
export interface ReceiveSpace {
  readonly bytes: Buffer;
  readonly start: number;
  readonly lengthBytes: number;
}

/** What a session needs. */
export interface NbdSessionDependencies {
  readonly exports: NbdExports;
  /** The volume of the export that `exports.open` has opened. */
  readonly openedVolume: () => NbdVolume;
  readonly actions: NbdActions;
  readonly buffers: IoBufferPool;
  /** Memory that input is received into; at least `nbdInputBytes`. */
  readonly inputBytes: Buffer;
  /** Set if the connection was begun elsewhere: what was agreed on there. */
  readonly agreed?: NbdAgreedOptions | undefined;
}

type State =
  | { readonly name: 'client-flags' }
  | { readonly name: 'option-head' }
  | { readonly name: 'option-data'; readonly option: number; readonly lengthBytes: number }
  | { readonly name: 'option-skip'; readonly option: number; restBytes: number }
  | { readonly name: 'request-head' }
  | {
      readonly name: 'payload';
      readonly request: OpenRequest;
      readonly payload: Buffer;
      filledBytes: number;
    }
  | {
      readonly name: 'payload-skip';
      readonly request: OpenRequest;
      readonly refusal: RequestRefusal;
      restBytes: number;
    }
  | { readonly name: 'draining' }
  | { readonly name: 'closed' };

const noBytes = Buffer.alloc(0);
const optionHeadBytes = 16;
const knownClientFlags = NbdHandshakeFlag.FIXED_NEWSTYLE | NbdHandshakeFlag.NO_ZEROES;
const optionHead: State = { name: 'option-head' };
const requestHead: State = { name: 'request-head' };

/** The protocol machine of one connection. */
export class NbdSession {
  readonly #exports: NbdExports;
  readonly #openedVolume: () => NbdVolume;
  readonly #actions: NbdActions;
  readonly #input: InputBuffer;
  readonly #buffers: IoBufferPool;
  readonly #output = new OutputQueue();
  /** Chunks that were given to `receive` and did not fit `#input` yet. */
  #unread: Buffer[] = [];
  #state: State = { name: 'client-flags' };
  #negotiation: Negotiation | undefined;
  #transmission: Transmission | undefined;
  #optionCount = 0;
  #isInputEnded = false;
  #isReading = true;
  #isAdvancing = false;
  #hasEnded = false;
  /** Given to the owner by `receiveSpace`, until `received`. */
  readonly #space: { bytes: Buffer; start: number; lengthBytes: number } = {
    bytes: noBytes,
    start: 0,
    lengthBytes: 0,
  };
  #isReceiving = false;
  /** A payload that nobody wants any more while bytes may still arrive in it. */
  #abandoned: IoBuffer | undefined;

  constructor(dependencies: NbdSessionDependencies) {
    const { exports, openedVolume, actions, buffers, inputBytes, agreed } = dependencies;
    assert(inputBytes.length >= nbdInputBytes, 'the longest option fits');
    this.#exports = exports;
    this.#openedVolume = openedVolume;
    this.#actions = actions;
    this.#buffers = buffers;
    this.#input = new InputBuffer(inputBytes);
    if (!agreed) return;
    this.#negotiation = new Negotiation(agreed, { ...this.#negotiates(), isContinued: true });
    this.#state = optionHead;
  }

  /** True until an export is open: such a client may not stay long. */
  get isNegotiating(): boolean {
    return this.#transmission === undefined && this.#state.name !== 'closed';
  }

  /** Sends the greeting (proto, Newstyle negotiation), unless the client has had it. */
  start(): void {
    if (this.#negotiation) return;
    const greeting = Buffer.alloc(18);
    greeting.writeUInt32BE(NbdMagic.INIT_HIGH, 0);
    greeting.writeUInt32BE(NbdMagic.INIT_LOW, 4);
    greeting.writeUInt32BE(NbdMagic.OPTION_HIGH, 8);
    greeting.writeUInt32BE(NbdMagic.OPTION_LOW, 12);
    greeting.writeUInt16BE(knownClientFlags, 16);
    this.#send(greeting);
  }

  /** Takes bytes that arrived elsewhere; their buffer is the session's from now on. */
  receive(bytes: Uint8Array): void {
    if (this.#isOver || bytes.length === 0) return;
    this.#unread.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
    this.#advance();
  }

  /**
   * Where to receive the next bytes without a copy: behind what waits, or straight into the rest of a long
   * payload. The place stays as it is until `received`, which must follow, also after the end.
   */
  receiveSpace(): ReceiveSpace {
    assert(!this.#isReceiving, 'one receive at a time');
    this.#isReceiving = true;
    const space = this.#space;
    const state = this.#state;
    const payload = state.name === 'payload' ? state : undefined;
    const restBytes = payload ? payload.request.lengthBytes - payload.filledBytes : 0;
    if (payload && restBytes >= nbdDirectPayloadBytesMin && this.#input.lengthBytes === 0) {
      space.bytes = payload.payload;
      space.start = payload.filledBytes;
      space.lengthBytes = restBytes;
    } else {
      this.#input.makeRoom();
      space.bytes = this.#input.bytes;
      space.start = this.#input.end;
      space.lengthBytes = this.#input.roomBytes;
    }
    return space;
  }

  /** So many bytes, perhaps none, were put into the space. */
  received(lengthBytes: number): void {
    assert(this.#isReceiving, 'nothing is being received');
    this.#isReceiving = false;
    if (this.#abandoned) this.#buffers.release(this.#abandoned);
    this.#abandoned = undefined;
    if (this.#isOver) return;
    if (this.#space.bytes === this.#input.bytes) this.#input.filled(lengthBytes);
    else if (this.#state.name === 'payload') this.#state.filledBytes += lengthBytes;
    this.#advance();
  }

  /** Moves what is to be sent into a batch, as far as there is room. */
  takeOutput(batch: OutputBatch): void {
    this.#output.moveTo(batch);
    // Requests may have waited for the client to take replies.
    if (!this.#isReading) this.#advance();
  }

  /** Nothing waits to be sent. */
  get isOutputEmpty(): boolean {
    return this.#output.isEmpty;
  }

  /** The client will send nothing more: what it asked for is finished, then the connection ends. */
  inputEnded(): void {
    this.#isInputEnded = true;
    this.#advance();
  }

  /** The connection is gone. */
  connectionLost(): void {
    this.#transmission?.silence();
    this.#output.clear();
    this.#close();
  }

  /** Answers new requests with ESHUTDOWN, finishes the old ones, then ends the connection. */
  shutDown(): void {
    this.#transmission?.stop();
    if (this.#transmission?.isIdle !== false) this.#finish();
  }

  get #isOver(): boolean {
    return this.#state.name === 'closed' || this.#state.name === 'draining';
  }

  #send(bytes: Buffer): void {
    this.#output.push(bytes);
    this.#actions.outputReady();
  }

  /** Works through the input as far as bytes and limits allow. */
  #advance(): void {
    if (this.#isAdvancing) return;
    this.#isAdvancing = true;
    let needsInput = false;
    while (!needsInput && this.#mayContinue()) needsInput = !this.#step() && !this.#refill();
    this.#isAdvancing = false;
    if (needsInput && this.#isInputEnded) this.#drain();
    this.#updateReading();
  }

  /** Moves bytes that arrived elsewhere into the place for input; false if there are none. */
  #refill(): boolean {
    const chunk = this.#unread[0];
    if (!chunk) return false;
    const space = this.receiveSpace();
    const length = Math.min(chunk.length, space.lengthBytes);
    chunk.copy(space.bytes, space.start, 0, length);
    if (length === chunk.length) this.#unread.shift();
    else this.#unread[0] = chunk.subarray(length);
    this.received(length);
    return true;
  }

  #mayContinue(): boolean {
    if (this.#isOver) return false;
    // Half a payload is always read to its end: its request has been let in.
    if (this.#state.name === 'payload' || this.#state.name === 'payload-skip') return true;
    // Answers to options wait for the client to take them as well.
    return this.#transmission?.hasRoom ?? this.#output.lengthBytes < nbdOutputBytesMax;
  }

  #updateReading(): void {
    const isReading = this.#mayContinue();
    if (isReading === this.#isReading) return;
    this.#isReading = isReading;
    this.#actions.setReading(isReading);
  }

  /** Does the next thing; false if that needs more input. */
  #step(): boolean {
    const state = this.#state;
    switch (state.name) {
      case 'client-flags':
        return this.#takeClientFlags();
      case 'option-head':
        return this.#takeOptionHead();
      case 'option-data':
        return this.#takeOptionData(state);
      case 'option-skip':
        state.restBytes -= this.#input.skip(state.restBytes);
        if (state.restBytes > 0) return false;
        this.#refuseLongOption(state.option);
        return true;
      case 'request-head':
        return this.#takeRequestHead();
      case 'payload':
        state.filledBytes += this.#input.moveTo(
          state.payload,
          state.filledBytes,
          state.request.lengthBytes - state.filledBytes,
        );
        if (state.filledBytes < state.request.lengthBytes) return false;
        this.#state = requestHead;
        this.#startOrRefuse(state.request);
        return true;
      case 'payload-skip':
        state.restBytes -= this.#input.skip(state.restBytes);
        if (state.restBytes > 0) return false;
        this.#state = requestHead;
        this.#refuse(state.request, state.refusal);
        return true;
      case 'draining':
      case 'closed':
        return false;
      default:
        return assertNever(state, 'state of an NBD session');
    }
  }

  #takeClientFlags(): boolean {
    const input = this.#input;
    if (input.lengthBytes < 4) return false;
    const clientFlags = input.bytes.readUInt32BE(input.take(4));
    if ((clientFlags & ~knownClientFlags) !== 0) {
      this.#violate(`client flags 0x${clientFlags.toString(16)}`);
    } else {
      this.#negotiation = new Negotiation({ clientFlags }, this.#negotiates());
      this.#state = optionHead;
    }
    return true;
  }

  #negotiates(): { exports: NbdExports; send: (reply: Buffer) => void } {
    return { exports: this.#exports, send: (reply) => this.#send(reply) };
  }

  #takeOptionHead(): boolean {
    if (this.#input.lengthBytes < optionHeadBytes) return false;
    const start = this.#input.take(optionHeadBytes);
    const head = this.#input.bytes.subarray(start, start + optionHeadBytes);
    const option = head.readUInt32BE(8);
    const lengthBytes = head.readUInt32BE(12);
    const isMagic =
      head.readUInt32BE(0) === NbdMagic.OPTION_HIGH && head.readUInt32BE(4) === NbdMagic.OPTION_LOW;
    this.#optionCount++;
    const optionsMax = nbdOptionsMax + 4 * this.#negotiation!.listedCount;
    if (!isMagic) this.#violate('an option without its magic');
    else if (this.#optionCount > optionsMax) this.#violate(`more than ${optionsMax} options`);
    else if (lengthBytes > nbdDroppedOptionBytesMax)
      this.#violate(`${lengthBytes} bytes of option`);
    else if (lengthBytes > nbdOptionBytesMax) {
      this.#state = { name: 'option-skip', option, restBytes: lengthBytes };
    } else this.#state = { name: 'option-data', option, lengthBytes };
    return true;
  }

  #refuseLongOption(option: number): void {
    this.#state = optionHead;
    const message = `the option is too long; at most ${nbdOptionBytesMax} bytes are allowed`;
    this.#send(encodeOptionError(option, NbdOptionReply.ERR_TOO_BIG, message));
  }

  #takeOptionData({ option, lengthBytes }: { option: number; lengthBytes: number }): boolean {
    if (this.#input.lengthBytes < lengthBytes) return false;
    const start = this.#input.take(lengthBytes);
    // Negotiation keeps nothing of it.
    const data = this.#input.bytes.subarray(start, start + lengthBytes);
    this.#state = optionHead;
    const step = this.#negotiation!.answer(option, data);
    if (step.next === 'close') this.#finish();
    else if (step.next === 'elsewhere') this.#handOver(step.exportName, option, data);
    else if (step.next === 'transmission') {
      this.#transmission = new Transmission(step.agreement, {
        volume: this.#openedVolume(),
        buffers: this.#buffers,
        output: this.#output,
        replied: () => this.#replied(),
      });
      this.#state = requestHead;
    }
    return true;
  }

  /** Gives everything from this option on to whoever has the export. */
  #handOver(exportName: string, option: number, data: Buffer): void {
    const actions = this.#actions;
    assert(
      actions.elsewhere !== undefined,
      'exports that are elsewhere have somebody to go on with',
    );
    const head = Buffer.alloc(optionHeadBytes);
    head.writeUInt32BE(NbdMagic.OPTION_HIGH, 0);
    head.writeUInt32BE(NbdMagic.OPTION_LOW, 4);
    head.writeUInt32BE(option, 8);
    head.writeUInt32BE(data.length, 12);
    const restBytes = this.#input.lengthBytes;
    const start = this.#input.take(restBytes);
    const rest = this.#input.bytes.subarray(start, start + restBytes);
    const bytes = Buffer.concat([head, data, rest, ...this.#unread]);
    actions.elsewhere(exportName, this.#negotiation!.agreed, bytes);
    this.#close();
  }

  #takeRequestHead(): boolean {
    const input = this.#input;
    if (input.lengthBytes < requestHeadBytes) return false;
    const transmission = this.#transmission!;
    const request = transmission.newRequest();
    const isRequest = decodeRequest(input.bytes, input.take(requestHeadBytes), request);
    if (!isRequest || request.command === NbdCommand.DISC) {
      transmission.drop(request);
      if (isRequest) this.#drain();
      else this.#violate('a request without its magic');
      return true;
    }
    const restBytes = payloadBytes(request);
    if (restBytes === 0) {
      this.#startOrRefuse(request);
      return true;
    }
    const refusal = transmission.refusalOf(request);
    if (restBytes > nbdDroppedPayloadBytesMax) {
      transmission.drop(request);
      this.#violate(`a write of ${restBytes} bytes`);
    } else if (refusal) {
      this.#state = { name: 'payload-skip', request, refusal, restBytes };
    } else this.#takePayload(request);
    return true;
  }

  /** Most payloads have arrived with their heads. */
  #takePayload(request: OpenRequest): void {
    const payload = this.#transmission!.preparePayload(request);
    const filledBytes = this.#input.moveTo(payload, 0, request.lengthBytes);
    if (filledBytes === request.lengthBytes) this.#startOrRefuse(request);
    else this.#state = { name: 'payload', request, payload, filledBytes };
  }

  /** A shutdown may have come while the payload did. */
  #startOrRefuse(request: OpenRequest): void {
    const refusal = this.#transmission!.refusalOf(request);
    if (refusal) this.#refuse(request, refusal);
    else this.#transmission!.start(request);
  }

  #refuse(request: OpenRequest, refusal: RequestRefusal): void {
    this.#transmission!.refuse(request, refusal);
    this.#actions.outputReady();
  }

  #replied(): void {
    assert(this.#transmission !== undefined, 'a reply before the transmission phase');
    if (!this.#output.isEmpty) this.#actions.outputReady();
    if (this.#state.name === 'closed') this.#end();
    else if (this.#transmission.isIdle && this.#transmission.isStopping) this.#finish();
    else if (this.#state.name === 'draining') this.#drain();
    else this.#advance();
  }

  /** Takes no further requests; ends when those under way are answered. */
  #drain(): void {
    if (this.#state.name === 'closed') return;
    this.#leave({ name: 'draining' });
    if (this.#transmission?.isIdle !== false) this.#finish();
    else this.#updateReading();
  }

  #violate(violation: string): void {
    if (this.#state.name === 'closed') return;
    this.#transmission?.silence();
    this.#output.clear();
    this.#actions.disconnect(violation);
    this.#close();
  }

  #finish(): void {
    if (this.#state.name === 'closed') return;
    this.#actions.disconnect(undefined);
    this.#close();
  }

  #close(): void {
    this.#leave({ name: 'closed' });
    this.#end();
  }

  /** No input is wanted any more: half a request is forgotten. */
  #leave(next: { readonly name: 'draining' | 'closed' }): void {
    const state = this.#state;
    this.#state = next;
    this.#input.clear();
    this.#unread = [];
    if (state.name !== 'payload' && state.name !== 'payload-skip') return;
    const { request } = state;
    if (this.#isReceiving && state.name === 'payload') {
      // Bytes may be on their way into it.
      this.#abandoned = request.buffer;
      request.buffer = undefined;
    }
    this.#transmission!.drop(request);
  }

  #end(): void {
    if (this.#hasEnded || this.#transmission?.isIdle === false) return;
    this.#hasEnded = true;
    this.#actions.ended();
  }
}
