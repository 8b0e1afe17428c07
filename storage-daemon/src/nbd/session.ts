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
  nbdDroppedOptionBytesMax,
  nbdDroppedPayloadBytesMax,
  nbdOptionBytesMax,
  nbdOptionsMax,
} from '../limits.ts';
import type { NbdExports } from './exports.ts';
import { InputQueue } from './input-queue.ts';
import { Negotiation } from './negotiation.ts';
import { encodeOptionError } from './option-reply.ts';
import { decodeRequest, type NbdRequest, payloadBytes, requestHeadBytes } from './request.ts';
import type { RequestRefusal } from './request.ts';
import { Transmission } from './transmission.ts';
import type { NbdVolume } from './volume-port.ts';
import { NbdCommand, NbdHandshakeFlag, NbdMagic, NbdOptionReply } from './wire-constants.ts';

/**
 * What the session asks of its owner. None of these may call back into the session before it returns, but
 * `send` may say that output is blocked.
 */
export interface NbdActions {
  /** Sends bytes in order; the buffer is the owner's from now on. */
  send(bytes: Buffer): void;
  /** Whether more input is wanted; input that comes all the same is kept. */
  setReading(isReading: boolean): void;
  /**
   * Nothing more will be sent. With a reason the client broke the protocol: it need not get what is still
   * unsent.
   */
  disconnect(violation: string | undefined): void;
  /** The last call: nothing is under way any more, the export can be closed. */
  ended(): void;
}

/** What a session needs. */
export interface NbdSessionDependencies {
  readonly exports: NbdExports;
  /** The volume of the export that `exports.open` has opened. */
  readonly openedVolume: () => NbdVolume;
  readonly actions: NbdActions;
}

type State =
  | { readonly name: 'client-flags' }
  | { readonly name: 'option-head' }
  | { readonly name: 'option-data'; readonly option: number; readonly lengthBytes: number }
  | { readonly name: 'option-skip'; readonly option: number; restBytes: number }
  | { readonly name: 'request-head' }
  | {
      readonly name: 'payload';
      readonly request: NbdRequest;
      readonly payload: Buffer;
      filledBytes: number;
    }
  | {
      readonly name: 'payload-skip';
      readonly request: NbdRequest;
      readonly refusal: RequestRefusal;
      restBytes: number;
    }
  | { readonly name: 'draining' }
  | { readonly name: 'closed' };

const optionHeadBytes = 16;
const knownClientFlags = NbdHandshakeFlag.FIXED_NEWSTYLE | NbdHandshakeFlag.NO_ZEROES;
const noPayload = Buffer.alloc(0);

/** The protocol machine of one connection. */
export class NbdSession {
  readonly #exports: NbdExports;
  readonly #openedVolume: () => NbdVolume;
  readonly #actions: NbdActions;
  readonly #input = new InputQueue();
  #state: State = { name: 'client-flags' };
  #negotiation: Negotiation | undefined;
  #transmission: Transmission | undefined;
  #optionCount = 0;
  #isInputEnded = false;
  #isOutputBlocked = false;
  #isReading = true;
  #isAdvancing = false;
  #hasEnded = false;

  constructor({ exports, openedVolume, actions }: NbdSessionDependencies) {
    this.#exports = exports;
    this.#openedVolume = openedVolume;
    this.#actions = actions;
  }

  /** True until an export is open: such a client may not stay long. */
  get isNegotiating(): boolean {
    return this.#transmission === undefined && this.#state.name !== 'closed';
  }

  /** Sends the greeting (proto, Newstyle negotiation). */
  start(): void {
    const greeting = Buffer.alloc(18);
    greeting.writeUInt32BE(NbdMagic.INIT_HIGH, 0);
    greeting.writeUInt32BE(NbdMagic.INIT_LOW, 4);
    greeting.writeUInt32BE(NbdMagic.OPTION_HIGH, 8);
    greeting.writeUInt32BE(NbdMagic.OPTION_LOW, 12);
    greeting.writeUInt16BE(knownClientFlags, 16);
    this.#actions.send(greeting);
  }

  /** Takes bytes that arrived; the buffer is the session's from now on. */
  receive(bytes: Uint8Array): void {
    if (this.#state.name === 'closed' || this.#state.name === 'draining') return;
    this.#input.push(bytes);
    this.#advance();
  }

  /** The client will send nothing more: what it asked for is finished, then the connection ends. */
  inputEnded(): void {
    this.#isInputEnded = true;
    this.#advance();
  }

  /** The connection is gone. */
  connectionLost(): void {
    this.#transmission?.silence();
    this.#close();
  }

  /** Answers new requests with ESHUTDOWN, finishes the old ones, then ends the connection. */
  shutDown(): void {
    this.#transmission?.stop();
    if (this.#transmission?.isIdle !== false) this.#finish();
  }

  /** Tells whether the client takes what it is sent. While it does not, no further request starts. */
  setOutputBlocked(isBlocked: boolean): void {
    this.#isOutputBlocked = isBlocked;
    if (!isBlocked) this.#advance();
  }

  /** Works through the input as far as bytes and limits allow. */
  #advance(): void {
    if (this.#isAdvancing) return;
    this.#isAdvancing = true;
    let mayGoOn = true;
    while (mayGoOn && this.#mayContinue()) mayGoOn = this.#step();
    this.#isAdvancing = false;
    if (!mayGoOn && this.#isInputEnded) this.#drain();
    this.#updateReading();
  }

  #mayContinue(): boolean {
    if (this.#state.name === 'closed' || this.#state.name === 'draining') return false;
    // Half a payload is always read to its end: its request has been let in.
    if (this.#state.name === 'payload' || this.#state.name === 'payload-skip') return true;
    return !this.#isOutputBlocked && this.#transmission?.hasRoom !== false;
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
        state.filledBytes += this.#input.moveTo(state.payload.subarray(state.filledBytes));
        if (state.filledBytes < state.payload.length) return false;
        this.#state = { name: 'request-head' };
        this.#startOrRefuse(state.request, state.payload);
        return true;
      case 'payload-skip':
        state.restBytes -= this.#input.skip(state.restBytes);
        if (state.restBytes > 0) return false;
        this.#state = { name: 'request-head' };
        this.#transmission!.refuse(state.request, state.refusal);
        return true;
      case 'draining':
      case 'closed':
        return false;
      default:
        return assertNever(state, 'state of an NBD session');
    }
  }

  #takeClientFlags(): boolean {
    const bytes = this.#input.tryTake(4);
    if (!bytes) return false;
    const clientFlags = bytes.readUInt32BE();
    if ((clientFlags & ~knownClientFlags) !== 0) {
      this.#violate(`client flags 0x${clientFlags.toString(16)}`);
    } else {
      const send = (reply: Buffer) => this.#actions.send(reply);
      this.#negotiation = new Negotiation({ clientFlags }, { exports: this.#exports, send });
      this.#state = { name: 'option-head' };
    }
    return true;
  }

  #takeOptionHead(): boolean {
    const head = this.#input.tryTake(optionHeadBytes);
    if (!head) return false;
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
    this.#state = { name: 'option-head' };
    const message = `the option is too long; at most ${nbdOptionBytesMax} bytes are allowed`;
    this.#actions.send(encodeOptionError(option, NbdOptionReply.ERR_TOO_BIG, message));
  }

  #takeOptionData({ option, lengthBytes }: { option: number; lengthBytes: number }): boolean {
    const data = this.#input.tryTake(lengthBytes);
    if (!data) return false;
    this.#state = { name: 'option-head' };
    const step = this.#negotiation!.answer(option, data);
    if (step.next === 'close') this.#finish();
    else if (step.next === 'transmission') {
      this.#transmission = new Transmission(step.agreement, {
        volume: this.#openedVolume(),
        send: (reply) => this.#actions.send(reply),
        replied: () => this.#replied(),
      });
      this.#state = { name: 'request-head' };
    }
    return true;
  }

  #takeRequestHead(): boolean {
    const head = this.#input.tryTake(requestHeadBytes);
    if (!head) return false;
    const request = decodeRequest(head);
    if (!request) {
      this.#violate('a request without its magic');
      return true;
    }
    if (request.command === NbdCommand.DISC) {
      this.#drain();
      return true;
    }
    const refusal = this.#transmission!.refusalOf(request);
    const restBytes = payloadBytes(request);
    if (restBytes > nbdDroppedPayloadBytesMax) this.#violate(`a write of ${restBytes} bytes`);
    else if (refusal && restBytes > 0) {
      this.#state = { name: 'payload-skip', request, refusal, restBytes };
    } else if (restBytes > 0) {
      const payload = Buffer.allocUnsafe(restBytes);
      this.#state = { name: 'payload', request, payload, filledBytes: 0 };
    } else this.#startOrRefuse(request, noPayload);
    return true;
  }

  /** A shutdown may have come while the payload did. */
  #startOrRefuse(request: NbdRequest, payload: Buffer): void {
    const refusal = this.#transmission!.refusalOf(request);
    if (refusal) this.#transmission!.refuse(request, refusal);
    else this.#transmission!.start(request, payload);
  }

  #replied(): void {
    assert(this.#transmission !== undefined, 'a reply before the transmission phase');
    if (this.#state.name === 'closed') this.#end();
    else if (this.#transmission.isIdle && this.#transmission.isStopping) this.#finish();
    else if (this.#state.name === 'draining') this.#drain();
    else this.#advance();
  }

  /** Takes no further requests; ends when those under way are answered. */
  #drain(): void {
    if (this.#state.name === 'closed') return;
    this.#state = { name: 'draining' };
    this.#input.clear();
    if (this.#transmission?.isIdle !== false) this.#finish();
    else this.#updateReading();
  }

  #violate(violation: string): void {
    if (this.#state.name === 'closed') return;
    this.#transmission?.silence();
    this.#actions.disconnect(violation);
    this.#close();
  }

  #finish(): void {
    if (this.#state.name === 'closed') return;
    this.#actions.disconnect(undefined);
    this.#close();
  }

  #close(): void {
    this.#state = { name: 'closed' };
    this.#input.clear();
    this.#end();
  }

  #end(): void {
    if (this.#hasEnded || this.#transmission?.isIdle === false) return;
    this.#hasEnded = true;
    this.#actions.ended();
  }
}
